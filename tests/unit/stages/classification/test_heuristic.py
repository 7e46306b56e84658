from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from polyroute.catalog import tasks
from polyroute.stages.classification import article
from polyroute.stages.classification.heuristic import NAME, HeuristicClassifier
from polyroute.types.content import Image, Inline, Message, Text, ToolResult
from polyroute.types.request import Reasoning, Request, Tool, ask
from polyroute.types.routing import Classification, Thresholds

CLASSIFIER = HeuristicClassifier(tasks=tasks.load())


def seen(query: Request | str, **more: Any) -> Classification:
    return CLASSIFIER.classify(ask("m", query) if isinstance(query, str) else query, **more)


@pytest.mark.parametrize(
    ("query", "label"),
    [
        pytest.param("What is the capital of France?", "simple", id="a simple phrase"),
        pytest.param("Tell me about the weather", "moderate", id="neither"),
        pytest.param("Analyze the causes of the war", "complex", id="a complex phrase"),
        pytest.param("What is the best way? Compare the two.", "simple", id="simple goes before complex"),
        pytest.param("what is the " + "word " * 30, "moderate", id="a simple phrase in a longer query"),
        pytest.param("word " * 81, "complex", id="a long query"),
        pytest.param("word " * 80, "moderate", id="not long enough"),
        pytest.param("Do not analyze this, just say hello to him", "moderate", id="a negated phrase does not count"),
        pytest.param("Do not analyze it. Then compare them", "complex", id="another that is not negated does"),
        pytest.param("", "moderate", id="nothing"),
    ],
)
def test_the_rule_of_the_article_with_negation(query: str, label: str) -> None:
    found = seen(query)
    assert (found.label, found.classifier) == (label, NAME)


@given(st.text())
def test_the_label_is_the_articles_wherever_nothing_is_negated(query: str) -> None:
    found = seen(query)
    if not any(item.feature.startswith("negated") for item in found.evidence):
        assert found.label == article.label(query)
    assert 0 <= found.score <= 1
    assert found.label == Thresholds().label(found.score)


@given(st.integers(0, 500), st.integers(0, 500))
def test_a_longer_query_is_never_thought_easier(first: int, second: int) -> None:
    short, long = sorted((first, second))
    assert seen("word " * short).score <= seen("word " * long).score


@pytest.mark.parametrize(
    ("change", "feature"),
    [
        ({"tools": (Tool(name="f"),)}, "tools: 1"),
        ({"reasoning": Reasoning(effort="high")}, "reasoning asked for"),
        ({"messages": (Message(role="user", parts=(Text(text="hi"),)),) * 7}, "messages: 7"),
        (
            {
                "messages": (
                    Message(role="user", parts=(Text(text="hi"), Image(media=Inline(media_type="x", data="")))),
                )
            },
            "image",
        ),
        (
            {
                "messages": (
                    Message(role="user", parts=(Text(text="hi"),)),
                    Message(role="tool", parts=(ToolResult(call_id="c", parts=()),)),
                )
            },
            "tool results",
        ),
        ({"messages": (Message(role="user", parts=(Text(text="hi ```x```"),)),)}, "code"),
    ],
)
def test_what_makes_a_request_harder_is_evidence_and_raises_the_score(change: dict[str, Any], feature: str) -> None:
    plain = ask("m", "hi")
    found = seen(replace(plain, **change))
    assert feature in [item.feature for item in found.evidence]
    assert found.score > seen(plain).score


def test_evidence_shows_where_a_phrase_was_seen() -> None:
    (hit,) = [item for item in seen("please do compare the two").evidence if item.span]
    assert (hit.feature, hit.span) == ("phrase: compare", "please do compare the two")


def test_thresholds_move_the_label_and_not_the_score() -> None:
    plain, strict = seen("hello there"), seen("hello there", thresholds=Thresholds(moderate=0.1, complex=0.2))
    assert (plain.label, strict.label) == ("moderate", "complex")
    assert plain.score == strict.score


def test_a_declared_task_stands_and_one_is_detected_only_where_wanted() -> None:
    query = "Summarize the following text"
    assert seen(query).task is None
    assert seen(query, task="translate", wants_task=True).task == "translate"
    assert seen(query, wants_task=True).task is not None


def test_only_the_newest_user_message_is_read() -> None:
    messages = tuple(Message(role="user", parts=(Text(text=text),)) for text in ("analyze this", "hi"))
    assert seen(Request(model="m", messages=messages)).label == "moderate"
    assert seen(Request(model="m", messages=())).label == "moderate"
