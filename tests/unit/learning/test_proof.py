import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from polyroute.learning.proof import Outcomes, Proof, compare, prove

MODELS = ("cheap", "strong")


def world(
    *, rows: int, skill: float, seed: int, weak: float = 0.6, strong: float = 0.9, share: float = 0.5, ratio: float = 10
) -> Outcomes:
    """Half of what a policy sends to the strong model, it sends there for a reason, where `skill` is one."""
    draw = np.random.default_rng(seed)
    hard = draw.random(rows) < 0.5
    easy_quality, hard_quality = min(1.0, weak + 0.3), max(0.0, weak - 0.3)
    scores = np.stack(
        [draw.random(rows) < np.where(hard, hard_quality, easy_quality), draw.random(rows) < strong], axis=1
    ).astype(float)
    knows = draw.random(rows) < skill
    chosen = np.where(knows, hard, draw.random(rows) < share).astype(int)
    return Outcomes(models=MODELS, scores=scores, usd=np.tile([1.0, ratio], (rows, 1)), chosen=chosen)


def verdict(outcomes: Outcomes, loss: float = 0.05) -> str:
    return prove(outcomes, quality_loss=loss).verdict


def test_a_policy_that_knows_which_prompts_are_hard_passes() -> None:
    found = prove(world(rows=3000, skill=0.9, seed=1), quality_loss=0.05)
    assert (found.verdict, found.best, found.cheapest) == ("pass", "strong", "cheap")
    assert found.saving.low is not None
    assert found.saving.low > 0.3


@pytest.mark.parametrize("rows", [150, 1000])
def test_chance_passes_in_no_more_than_one_of_twenty_worlds(rows: int) -> None:
    """Where cheap is nearly as good, its mix with strong loses little: only the shuffled policy tells chance."""
    worlds = [world(rows=rows, skill=0.0, seed=seed, weak=0.7, strong=0.75) for seed in range(40)]
    assert sum(verdict(one, 0.1) == "pass" for one in worlds) <= 2


@pytest.mark.parametrize(
    ("outcomes", "loss", "expected"),
    [
        pytest.param(world(rows=60, skill=1.0, seed=1), 0.05, "not enough data", id="too few rows"),
        pytest.param(world(rows=3000, skill=0.0, seed=1), 0.01, "do not route", id="too much is lost"),
        pytest.param(world(rows=3000, skill=1.0, seed=1, ratio=1.0), 0.05, "do not route", id="no gap in price"),
        pytest.param(
            world(rows=3000, skill=0.5, seed=1, weak=0.895, strong=0.6), 0.05, "do not route", id="cheap is best alone"
        ),
        pytest.param(world(rows=400, skill=0.6, seed=3), 0.06, "not enough data", id="the interval straddles"),
    ],
)
def test_verdicts(outcomes: Outcomes, loss: float, expected: str) -> None:
    assert verdict(outcomes, loss) == expected


def test_the_shuffled_policy_costs_what_the_policy_does() -> None:
    """All to strong is what all to strong is worth: its own shuffle, to the last digit."""
    outcomes = world(rows=500, skill=0.5, seed=1)
    told = prove(
        Outcomes(models=MODELS, scores=outcomes.scores, usd=outcomes.usd, chosen=np.ones(500, int)), quality_loss=0.0
    )
    assert told.over_chance.value == pytest.approx(0)
    assert told.saving.value == pytest.approx(0)
    assert told.quality_lost.value == pytest.approx(0)


def test_the_same_rows_give_the_same_proof() -> None:
    one: Proof = prove(world(rows=500, skill=0.5, seed=1), quality_loss=0.05)
    assert one == prove(world(rows=500, skill=0.5, seed=1), quality_loss=0.05)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param(np.zeros(800, int), np.zeros(800, int), "no difference shown", id="the same"),
        pytest.param(np.zeros(800, int), np.ones(800, int), "a trade", id="worse for less"),
        pytest.param(None, np.ones(800, int), "better", id="as good for half"),
        pytest.param(None, np.tile([0, 1], 400), "better", id="better for as much"),
    ],
)
def test_one_policy_beside_another(first: NDArray[np.int64] | None, second: NDArray[np.int64], expected: str) -> None:
    known = world(rows=800, skill=1.0, seed=4)
    one = known if first is None else replace(known, chosen=first)
    assert compare(one, replace(known, chosen=second)).verdict == expected
