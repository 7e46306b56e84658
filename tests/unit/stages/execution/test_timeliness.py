"""Whether another attempt is worth starting in the time that is left."""

import pytest
from tests.unit.rig import deployment

from polyroute.stages.execution.timeliness import in_time
from polyroute.types.routing import Candidate, Step


def step(latency_ms: float | None) -> Step:
    return Step(candidate=Candidate(deployment=deployment("m"), latency_ms=latency_ms))


SLOW, QUICK, UNKNOWN = step(5000.0), step(200.0), step(None)


@pytest.mark.parametrize(
    ("steps", "wanted", "tried", "left_s", "expected"),
    [
        pytest.param((SLOW, QUICK), 0, {0}, 9.0, 0, id="there is time for it"),
        pytest.param((SLOW, QUICK), 0, {0}, 2.0, 1, id="only for a faster one"),
        pytest.param((SLOW, SLOW, QUICK), 1, {0}, 2.0, 2, id="the next that is fast enough"),
        pytest.param((QUICK, SLOW), 1, {0}, 2.0, None, id="none before it"),
        pytest.param((SLOW, QUICK), 0, {0, 1}, 2.0, None, id="none that was tried"),
        pytest.param((SLOW, UNKNOWN), 0, {0}, 0.1, 1, id="one of unknown speed may be worth it"),
    ],
)
def test_who_is_worth_starting(
    steps: tuple[Step, ...], wanted: int, tried: set[int], left_s: float, expected: int | None
) -> None:
    assert in_time(steps, wanted, tried, left_s) == expected
