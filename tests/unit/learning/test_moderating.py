"""Thresholds hold what they promise: by the lower bound of what was right on rows held out."""

import numpy as np
import pytest

from polyroute.learning.moderating import Row, Target, fit_thresholds, held, lower_bound, train
from polyroute.stages.validation.moderation.lexicon import Lexicon, Thresholds

SURE = Target(precision=0.99, confidence=0.95)


@pytest.mark.parametrize(
    ("hits", "trials", "confidence", "expected"),
    [(100, 100, 0.5, 1.0), (268, 268, 0.95, 0.99), (267, 267, 0.95, 0.98997), (50, 100, 0.975, 0.40383)],
)
def test_the_lower_bound_is_wilsons(hits: int, trials: int, confidence: float, expected: float) -> None:
    assert lower_bound(hits, trials, confidence) == pytest.approx(expected, abs=2e-5)


def test_a_hundred_rows_without_an_error_are_too_few_to_be_sure_of_99_in_a_hundred() -> None:
    scores, flags = np.linspace(0.01, 0.99, 200), np.arange(200) >= 100
    assert fit_thresholds(scores, flags, SURE) == Thresholds()
    loose = fit_thresholds(scores, flags, Target(precision=0.99, confidence=0.5))
    assert loose.allow is not None
    assert loose.flag is not None
    assert loose.allow < 0.5 < loose.flag
    assert held(scores, flags, loose).settled == 200


def test_a_threshold_goes_no_further_than_the_even_chance() -> None:
    scores, flags = np.concatenate([np.full(900, 0.9), np.full(9, 0.2)]), np.full(909, True)
    assert fit_thresholds(scores, flags, SURE) == Thresholds(flag=0.9)


def test_equal_scores_are_on_one_side_together() -> None:
    scores = np.concatenate([np.full(500, 0.95), np.full(100, 0.8)])
    flags = np.concatenate([np.full(500, True), np.full(90, True), np.full(10, False)])
    assert fit_thresholds(scores, flags, SURE) == Thresholds(flag=0.95)


def test_the_same_rows_give_the_same_file_and_no_text_of_theirs_is_in_it() -> None:
    rows = [
        Row(text=f"{'foul zorb' if flag else 'lovely morning'} {number}", flag=flag, labels={"insult": flag})
        for flag in (True, False)
        for number in range(40)
    ]
    first, second = train(rows, SURE), train(rows, SURE)
    assert first == second
    assert [head.name for head in first.heads] == ["", "insult"]
    assert b"zorb" not in repr(first).encode()
    lexicon = Lexicon(first)
    assert lexicon.score("a foul zorb") > 0.5 > lexicon.score("a lovely morning")
