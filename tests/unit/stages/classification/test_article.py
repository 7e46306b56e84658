"""The article's heuristic, word for word."""

import pytest

from polyroute.catalog import tasks
from polyroute.stages.classification.article import ArticleClassifier, label
from polyroute.types.request import ask
from polyroute.types.routing import Complexity


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("Is this email spam? 'Congratulations you won!'", "simple", id="the article's first query"),
        pytest.param("Summarize this 500-word article about renewable energy", "moderate", id="its second"),
        pytest.param(
            "Analyze the trade-offs between microservices and monolith architectures for a 10-person startup",
            "complex",
            id="its third",
        ),
        pytest.param("what is the " + "word " * 16, "simple", id="19 words are fewer than 20"),
        pytest.param("what is the " + "word " * 17, "moderate", id="20 words are not"),
        pytest.param("word " * 80, "moderate", id="80 words are not more than 80"),
        pytest.param("word " * 81, "complex", id="81 words are"),
        pytest.param("Classify and compare these", "simple", id="a simple phrase in a short query comes first"),
        pytest.param("do not analyze this", "complex", id="negation is not the article's business"),
        pytest.param("", "moderate", id="nothing at all"),
    ],
)
def test_label(query: str, expected: Complexity) -> None:
    assert label(query) == expected


def test_the_rule_alone_gives_each_tier_one_score() -> None:
    classifier = ArticleClassifier(tasks=tasks.load())
    seen = [classifier.classify(ask("r", query)) for query in ("yes or no?", "Summarize it", "Compare them")]
    assert [(found.label, found.score) for found in seen] == [("simple", 0.165), ("moderate", 0.5), ("complex", 0.835)]
