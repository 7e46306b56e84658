from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.conditions import Condition, groups, holds, pattern_problem, see
from polyroute.types.content import Audio, Document, Image, Inline, Message, Text
from polyroute.types.request import Request, Tool, ask
from polyroute.types.routing import Classed, Classification

CLASSES = {
    "intent": Classed(label="refund", score=0.9),
    "topic": Classed(label=None),
    "late": Classed(label=None, fault="said nothing"),
}
MODERATE = Classification(label="moderate", score=0.5, classifier="test", task="support", classes=CLASSES)
PNG = Inline(media_type="image/png", data="")


def fits(request: Request | str, **when: Any) -> bool:
    request = ask("m", request) if isinstance(request, str) else request
    return holds(Condition(**when), see(request, MODERATE))


@pytest.mark.parametrize(
    ("text", "when", "expected"),
    [
        pytest.param("anything", {}, True, id="nothing stated holds always"),
        pytest.param("A REFUND please", {"contains": ("refund", "return")}, True, id="any phrase, in any case"),
        pytest.param("a refund", {"contains": ("Refund",)}, True, id="the document may write it in any case"),
        pytest.param("hello", {"contains": ("refund",)}, False, id="no phrase"),
        pytest.param("this is not a refund", {"contains": ("refund",)}, False, id="a negated phrase"),
        pytest.param("not a refund. I want a refund", {"contains": ("refund",)}, True, id="negated once only"),
        pytest.param("order and refund", {"contains_all": ("order", "refund")}, True, id="all phrases"),
        pytest.param("order", {"contains_all": ("order", "refund")}, False, id="one is missing"),
        pytest.param("a b c", {"min_words": 3, "max_words": 3}, True, id="exactly as many words"),
        pytest.param("a b", {"min_words": 3}, False, id="too few words"),
        pytest.param("a b c d", {"max_words": 3}, False, id="too many words"),
        pytest.param("", {"min_words": 0, "max_words": 0}, True, id="no words"),
        pytest.param("x", {"complexity": ("moderate", "complex")}, True, id="one of the tiers"),
        pytest.param("x", {"complexity": ("simple",)}, False, id="another tier"),
        pytest.param("x", {"task": ("support",)}, True, id="the task"),
        pytest.param("x", {"task": ("code",)}, False, id="another task"),
        pytest.param("x", {"class_": {"intent": "refund"}}, True, id="the class"),
        pytest.param("x", {"class_": {"intent": ("cancel", "refund")}}, True, id="one of several classes"),
        pytest.param("x", {"class_": {"intent": "cancel"}}, False, id="another class"),
        pytest.param("x", {"class_": {"topic": None}}, True, id="none of its classes"),
        pytest.param("x", {"class_": {"topic": ("a", None)}}, True, id="a class or none"),
        pytest.param("x", {"class_": {"intent": None}}, False, id="a class where none is wanted"),
        pytest.param("x", {"class_": {"late": None}}, False, id="a classifier that said nothing"),
        pytest.param("x", {"class_": {"other": None}}, False, id="a classifier that was not asked"),
        pytest.param("x", {"class_": {"intent": "refund", "topic": "a"}}, False, id="every classifier must agree"),
        pytest.param("Order 12", {"matches": "[0-9]+"}, True, id="a pattern is searched for"),
        pytest.param("order", {"matches": "Order"}, False, id="a pattern minds case"),
        pytest.param("order", {"contains": ("order",), "matches": "[0-9]"}, False, id="everything must hold"),
    ],
)
def test_holds(text: str, when: dict[str, Any], expected: bool) -> None:
    assert fits(text, **when) is expected


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (Image(media=PNG), "image"),
        (Document(media=PNG), "document"),
        (Audio(data="", format="wav"), "audio"),
        (Text(text="x"), "text"),
    ],
)
def test_contents(part: Any, name: str) -> None:
    request = Request(model="m", messages=(Message(role="user", parts=(part,)),))
    assert fits(request, has=(name,))
    assert not fits(request, has=(name, "tools"))


def test_tools_are_seen() -> None:
    assert fits(Request(model="m", messages=(), tools=(Tool(name="f"),)), has=("tools",))


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [({"tier": "gold", "x": 1}, True), ({"tier": "tin"}, False), ({}, False), ({"tier": 1}, False)],
)
def test_metadata(metadata: dict[str, object], expected: bool) -> None:
    assert fits(Request(model="m", messages=(), metadata=metadata), metadata={"tier": "gold"}) is expected


def test_only_the_newest_user_message_is_read() -> None:
    messages = tuple(Message(role="user", parts=(Text(text=text),)) for text in ("refund", "hello"))
    assert not fits(Request(model="m", messages=messages), contains=("refund",))


def test_groups_are_named_and_the_whole_match_is_one() -> None:
    assert groups(r"(?P<a>\d)(?P<b>x)?", "..7") == {"match": "7", "a": "7", "b": ""}
    assert groups("z", "7") is None


def test_half_a_surrogate_pair_is_no_character_and_no_failure() -> None:
    assert groups("(?P<a>.)b", "\ud800b") == {"match": "?b", "a": "?"}


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_can_be_looked_at(text: str) -> None:
    fits(text, contains=("a",), matches="a+", min_words=1, max_words=2)


@pytest.mark.parametrize("pattern", ["(", r"(?=a)b", r"(a)\1", "a{99999}"])
def test_what_re2_does_not_take_is_a_problem(pattern: str) -> None:
    assert pattern_problem(pattern)
    assert pattern_problem("a+") is None


def test_a_hostile_pattern_is_linear_in_the_text() -> None:
    assert groups("(a+)+$", "a" * 100_000 + "b") is None
