from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest
from tests.unit.learning.rig import MODELS, RATES, rows, sample

from polyroute.learning.training import predict_unseen, sample_of, train
from polyroute.stages.selection.router import Router, read_router

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SAMPLE = sample()
UNSEEN = predict_unseen(SAMPLE)
ARTIFACT = train(SAMPLE, UNSEEN, NOW)


def test_what_is_predicted_out_of_fold_follows_what_the_words_say() -> None:
    weak, hard = UNSEEN.predicted[:, 0], np.array([any(w in r.text for w in ("theorem", "proof")) for r in rows(400)])
    assert weak[hard].mean() < weak[~hard].mean() - 0.1


def test_the_file_predicts_what_the_matrices_do() -> None:
    router = read_router(msgspec.json.encode(ARTIFACT), "x")
    mean = SAMPLE.scores.mean(0)
    told = np.array([[router.predict(row.text).scores[name] for name in MODELS] for row in rows(400)])
    assert told.mean(0) == pytest.approx(mean, abs=0.03)  # of the rows it was trained on


def test_the_same_rows_make_the_same_router() -> None:
    again = train(SAMPLE, predict_unseen(sample()), NOW)
    assert again.content == ARTIFACT.content


def test_rows_alike_are_in_one_fold() -> None:
    doubled = [*rows(50), *(msgspec.structs.replace(row, id=f"again {row.id}") for row in rows(50))]
    folds = sample_of(doubled, MODELS, RATES).folds
    assert (folds[:50] == folds[50:]).all()


def test_few_of_its_own_rows_are_strange_and_a_foreign_prompt_is() -> None:
    router = Router(ARTIFACT)
    assert np.mean([router.predict(row.text).strange is not None for row in rows(200, seed=2)]) < 0.2
    assert router.predict("1 + 1 = ?\nA) 2\nB) 11").strange is not None


def test_the_lower_bound_never_is_above_what_was_scored_by_much() -> None:
    router = Router(ARTIFACT)
    points = np.linspace(0, 1, 11)
    bounds = [router.lower("weak", point) for point in points]
    assert bounds == sorted(bounds)
    assert bounds[0] < 0.3
