import numpy as np
import pytest
from tests.unit.learning.rig import rows

from polyroute.learning.fitting import Vocabulary, ridge, surprise, surprises
from polyroute.stages.selection.lexical import look

LOOKS = [look(row.text) for row in rows(120)]


def test_ridge_solves_its_normal_equations() -> None:
    words = Vocabulary.of(LOOKS)
    features = words.matrix(LOOKS)
    scores = np.random.default_rng(0).random((120, 3))
    dense = features.toarray()
    exact = np.linalg.solve(dense.T @ dense + 3.0 * np.eye(dense.shape[1]), dense.T @ scores)
    assert ridge(features, scores, 3.0) == pytest.approx(exact, abs=1e-3)


def test_a_difference_of_models_is_learned_as_the_difference_of_what_is_learned() -> None:
    features = Vocabulary.of(LOOKS).matrix(LOOKS)
    scores = np.random.default_rng(0).random((120, 2))
    both = ridge(features, scores, 6.0)
    gap = ridge(features, scores[:, [1]] - scores[:, [0]], 6.0)
    assert both[:, 1] - both[:, 0] == pytest.approx(gap[:, 0], abs=1e-3)


def test_ngrams_of_every_prompt_have_length_one_whatever_its_words() -> None:
    words = Vocabulary.of(LOOKS)
    ngrams = words.matrix(LOOKS).toarray()[:, : len(words.idf)]
    assert np.linalg.norm(ngrams, axis=1) == pytest.approx(1.0)


def test_a_prompt_of_another_kind_surprises_and_is_unseen() -> None:
    words = Vocabulary.of(LOOKS)
    tables = surprises(words.scales, LOOKS)
    strange = [look("A) 12 + 7 = ?\nB) \\frac{3}{4}\nC) $x_1$ (see [2])")]
    assert surprise(words.scales, tables, strange) > surprise(words.scales, tables, LOOKS).max()
    assert words.unseen(strange)[0] > 0.8
    assert words.unseen(LOOKS).max() == 0
