import random

import pytest

from polyroute.learning.sequences import Span, bounded, unbounded


@pytest.mark.parametrize("chance", [0.05, 0.5, 0.9])
def test_the_bounded_interval_holds_at_every_moment_of_nineteen_runs_in_twenty(chance: float) -> None:
    """n 200 runs of 300 looks each; the promise is 95 %, and three standard errors below are 90.4 %."""
    held = 0
    for seed in range(200):
        draw = random.Random(seed)
        span = bounded([float(draw.random() < chance) for _ in range(300)], 0.05)  # the meet of all its moments
        assert span.low is not None
        assert span.high is not None
        held += span.low <= chance <= span.high
    assert held >= 181


def test_the_unbounded_interval_holds_at_every_look_of_nineteen_runs_in_twenty() -> None:
    held = 0
    for seed in range(100):
        draw = random.Random(seed)
        values = [draw.expovariate(0.5) for _ in range(600)]
        spans = [unbounded(values[:n], 0.05) for n in range(30, 600, 30)]
        held += all(span.low is not None and span.high is not None and span.low <= 2 <= span.high for span in spans)
    assert held >= 88


def test_intervals_narrow_with_what_is_seen() -> None:
    few, many = bounded([0.0, 1.0] * 50, 0.05), bounded([0.0, 1.0] * 5000, 0.05)
    assert few.low is not None
    assert few.high is not None
    assert many.low is not None
    assert many.high is not None
    assert many.high - many.low < 0.05 < few.high - few.low


def test_of_nothing_nothing_is_known_and_of_few_no_interval() -> None:
    assert bounded([], 0.05) == Span(n=0)
    assert unbounded([], 0.05) == Span(n=0)
    assert unbounded([1.0, 3.0], 0.05) == Span(value=2.0, n=2)
