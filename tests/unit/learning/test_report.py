import numpy as np
from tests.unit.learning.rig import sample

from polyroute.learning.report import metrics_of, report
from polyroute.learning.training import predict_unseen


def test_a_signal_is_found_and_beats_what_costs_nothing() -> None:
    rows = sample()
    unseen = predict_unseen(rows)
    told = report(rows, unseen, np.zeros(len(rows.looks)), unseen.strange)
    assert (told.weak, told.strong) == ("weak", "strong")
    assert told.unbeaten == ()
    assert (told.scores["learned"].apgr.value or 0) > 0.65
    assert metrics_of(told, {"p95": 0.2})["apgr"] == told.scores["learned"].apgr.value


def test_chance_recovers_half_and_the_oracle_more_than_any() -> None:
    rows = sample()
    unseen = predict_unseen(rows)
    scores = report(rows, unseen, np.zeros(len(rows.looks)), unseen.strange).scores
    assert scores["random"].apgr.value == scores["heuristic"].apgr.value
    assert max(scores, key=lambda name: scores[name].apgr.value or 0) == "oracle"


def test_where_there_is_no_signal_nothing_is_beaten_for_certain() -> None:
    rows = sample(300, signal=False, seed=7)
    unseen = predict_unseen(rows)
    told = report(rows, unseen, np.zeros(len(rows.looks)), unseen.strange)
    learned = told.scores["learned"].apgr
    assert learned.low is not None
    assert learned.low < 0.5
