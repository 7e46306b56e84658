import pytest

from polyroute.errors import ConfigError
from polyroute.plugins import find
from polyroute.stages.classification.article import ArticleClassifier
from polyroute.stages.classification.heuristic import HeuristicClassifier


def test_ours_are_found_by_their_entry_points() -> None:
    assert find("polyroute.classifiers", "heuristic", path="classifier") is HeuristicClassifier
    assert find("polyroute.classifiers", "article", path="classifier") is ArticleClassifier


def test_a_name_that_is_not_installed_is_a_problem_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="did you mean `heuristic`") as told:
        find("polyroute.classifiers", "heuristics", path="classifier")
    assert told.value.problems[0].path == "classifier"
