import numpy as np
import pytest

from polyroute.learning.trading import pruned, trades

QUALITY = np.array([[0.0, 1.0], [1.0, 1.0]] * 200)
USD = np.array([[1.0, 10.0]] * 400)


def test_a_model_that_another_beats_in_both_is_pruned_and_told_why() -> None:
    scores, usd = np.array([[0.5, 0.6, 0.9]]), np.array([[2.0, 1.0, 5.0]])
    assert list(pruned(["a", "b", "c"], scores, usd)) == ["a"]
    assert "b scored 0.600" in pruned(["a", "b", "c"], scores, usd)["a"]


def test_of_two_models_alike_neither_is_pruned() -> None:
    assert pruned(["a", "b"], np.array([[0.5, 0.5]]), np.array([[1.0, 1.0]])) == {}


def test_who_predicts_perfectly_may_let_cost_weigh_all_it_can() -> None:
    found = trades(QUALITY, USD, QUALITY)
    assert found[0].quality_loss == 0
    assert found[0].weight == pytest.approx(1.0, abs=0.15)  # at a weight of 1/0.9 a right answer is no longer paid for


def test_who_predicts_nothing_pays_for_the_best_until_the_whole_gap_may_be_lost() -> None:
    found = trades(QUALITY, USD, np.tile(QUALITY.mean(0), (400, 1)))
    chosen = [float(np.argmax(QUALITY.mean(0) - trade.weight * np.array([0.1, 1.0]))) for trade in found]
    assert chosen == [1.0] * len(found)  # losses up to 0.3 are calibrated; the gap is half


def test_cost_never_weighs_less_where_more_may_be_lost() -> None:
    noisy = np.clip(QUALITY + np.random.default_rng(0).normal(0, 0.5, QUALITY.shape), 0, 1)
    weights = [trade.weight for trade in trades(QUALITY, USD, noisy)]
    assert weights == sorted(weights)
