"""What can be gone on with, and how another model is asked for the rest."""

from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.rig import deployment

from polyroute.errors import ContentRefused, MalformedReply, ProviderError, ProviderTimeout, Rejected, StreamInterrupted
from polyroute.stages.execution.continuing import Partial, Rest, anchor, is_mendable, may_go_on, rest_of
from polyroute.types.content import Image, Link, Text
from polyroute.types.request import OutputFormat, Reasoning, Reference, Request, Wire, ask
from polyroute.types.response import (
    ChoiceEnded,
    Chunk,
    Ended,
    PartAdded,
    RefusalDelta,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStarted,
)

ASKED = ask("route", "Name rivers.", max_output_tokens=100)
STARTED = Started(id="s", model="m")


@pytest.mark.parametrize(
    ("fields", "may"),
    [
        pytest.param({}, True, id="a question"),
        pytest.param({"n": 2}, False, id="two answers"),
        pytest.param({"logprobs": True}, False, id="probabilities"),
        pytest.param({"output": OutputFormat()}, False, id="JSON"),
        pytest.param({"background": True}, False, id="in the background"),
        pytest.param({"refers": (Reference(id="r", field="f"),)}, False, id="on what a provider keeps"),
        pytest.param({"output_modalities": ("text", "audio")}, False, id="sound"),
        pytest.param({"operation": "speech"}, False, id="speech"),
    ],
)
def test_what_cannot_be_sewn_together_is_not_tried(fields: dict[str, Any], may: bool) -> None:
    assert may_go_on(replace(ASKED, **fields)) is may


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (StreamInterrupted("cut"), True),
        (ProviderTimeout("silence", phase="between_tokens"), True),
        (MalformedReply("garbage"), True),
        (ContentRefused("no"), False),
        (Rejected("no"), False),
    ],
)
def test_a_refusal_is_nobodys_to_go_round(error: ProviderError, expected: bool) -> None:
    assert is_mendable(error) is expected


@pytest.mark.parametrize(
    ("chunks", "text", "is_plain"),
    [
        pytest.param((TextDelta(text="One, "), TextDelta(text="two")), "One, two", True, id="text"),
        pytest.param((ThinkingDelta(text="Hm."), TextDelta(text="One", part=1)), "One", True, id="thoughts and text"),
        pytest.param((ThinkingDelta(text="Hm."),), "", True, id="thoughts"),
        pytest.param((TextDelta(text="One"), PartAdded(content=Text(text="", citations=({},)), part=0)), "One", True,
                     id="a citation"),
        pytest.param((TextDelta(text="O"), ToolCallStarted(id="c", name="f", part=1)), "O", False, id="a tool call"),
        pytest.param((RefusalDelta(text="No"),), "", False, id="a refusal"),
        pytest.param((TextDelta(text="One", choice=1),), "", False, id="another answer"),
        pytest.param((TextDelta(text="One", logprobs=(TokenLogprob(token="One", logprob=0.0),)),), "", False,
                     id="probabilities"),
        pytest.param((TextDelta(text="One"), ChoiceEnded(stop=StopReason.END)), "One", False, id="its end"),
        pytest.param((PartAdded(content=Image(media=Link(url="https://x")), part=0),), "", False, id="a picture"),
    ],
)  # fmt: skip
def test_only_text_is_gone_on_with(chunks: tuple[Chunk, ...], text: str, is_plain: bool) -> None:
    partial = Partial()
    for chunk in (STARTED, *chunks):
        partial.take(chunk)
    assert partial.is_plain is is_plain
    if is_plain:
        assert partial.text == text


def told(*chunks: Chunk) -> Partial:
    partial = Partial()
    for chunk in chunks:
        partial.take(chunk)
    return partial


def goes_on(partial: Partial, *chunks: Chunk) -> list[Chunk]:
    rest = Rest(partial)
    return [one for chunk in chunks for one in rest.take(chunk)]


END = ChoiceEnded(stop=StopReason.END)


def test_the_rest_is_told_in_the_part_that_was_open_and_its_thoughts_are_not() -> None:
    partial = told(ThinkingDelta(text="Hm."), TextDelta(text="One", part=1))
    chunks = (STARTED, ThinkingDelta(text="Now"), TextDelta(text=", two", part=1), END, Ended(usage=None))
    assert goes_on(partial, *chunks) == [TextDelta(text=", two", part=1), END]


def test_where_only_thoughts_were_told_the_answer_is_a_part_of_its_own() -> None:
    assert goes_on(told(ThinkingDelta(text="Hm.")), TextDelta(text="One"), END) == [TextDelta(text="One", part=1), END]


def test_what_was_kept_back_is_told_before_what_follows_it() -> None:
    partial = told(TextDelta(text="One, two, three, four"))
    call = ToolCallStarted(id="c", name="f", part=1)
    chunks = goes_on(partial, TextDelta(text="two"), call, ToolCallDelta(arguments="{}", part=1), END)
    assert chunks == [
        TextDelta(text="two"),
        ToolCallStarted(id="c", name="f", part=1),
        ToolCallDelta(arguments="{}", part=1),
        END,
    ]


def test_further_parts_have_numbers_of_their_own() -> None:
    partial = told(TextDelta(text="One", part=0))
    chunks = goes_on(partial, TextDelta(text=" x"), TextDelta(text=" y", part=3), END)
    assert chunks == [TextDelta(text=" x"), TextDelta(text=" y", part=1), END]


def roles(request: Request) -> list[tuple[str, str]]:
    return [(message.role, "".join(part.text for part in message.parts if isinstance(part, Text)))
            for message in request.messages]  # fmt: skip


def test_a_model_that_goes_on_from_first_words_is_given_them() -> None:
    target = deployment("claude", capabilities=frozenset({"prefill"}))
    asked = rest_of(ASKED, "The Rhine, the ", target)
    assert roles(asked)[1:] == [("assistant", "The Rhine, the")], "no white space at the end: Anthropic refuses it"
    assert asked.wire is None


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(deployment("m"), id="not known to take a beginning"),
        pytest.param(None, id="whoever it is"),
    ],
)
def test_any_other_model_is_told_to_go_on_and_where(target: Any) -> None:
    asked = rest_of(replace(ASKED, wire=Wire(dialect="d", body={})), "The Rhine, the Dan", target)
    (_, said), (role, words) = roles(asked)[1:]
    assert (said, role) == ("The Rhine, the Dan", "user")
    assert "\n\nThe Rhine, the Dan\n\n" in words
    assert asked.wire is None


def test_who_thinks_first_is_told_in_words() -> None:
    target = deployment("claude", capabilities=frozenset({"prefill", "thinking"}))
    assert roles(rest_of(replace(ASKED, reasoning=Reasoning()), "The", target))[-1][0] == "user"


def test_what_was_told_counts_towards_the_callers_cap() -> None:
    assert rest_of(ASKED, "x" * 200).max_output_tokens == 50
    assert rest_of(replace(ASKED, max_output_tokens=None), "x" * 200).max_output_tokens is None


def test_where_nothing_was_told_it_is_asked_anew() -> None:
    assert rest_of(ASKED, "") is ASKED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("short", "short"),
        ("word " * 20, "word " * 7),
        ("a" * 50, "a" * 40),
        ("one and then " + "b" * 36, "b" * 36),
    ],
)
def test_the_last_words_begin_with_a_word(text: str, expected: str) -> None:
    assert anchor(text) == expected
