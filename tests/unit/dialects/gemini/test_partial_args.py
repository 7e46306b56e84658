"""Arguments that Gemini streams by pieces, and the calls that become of them."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.dialects.gemini import Gemini
from polyroute.dialects.gemini.partial_args import PartialCall
from polyroute.errors import MalformedReply
from polyroute.types.response import ChoiceEnded, Chunk, StopReason, TextDelta, ToolCallDelta, ToolCallStarted


def piece(path: str, more: bool = False, **value: Any) -> dict[str, Any]:
    return {"jsonPath": path, **value, **({"willContinue": True} if more else {})}


@pytest.mark.parametrize(
    ("pieces", "whole"),
    [
        ([], {}),
        ([piece("$.n", numberValue=50)], {"n": 50}),
        ([piece("$.a", True, stringValue="New "), piece("$.a", stringValue="Delhi")], {"a": "New Delhi"}),
        ([piece("$.a", True, stringValue="x"), piece("$.a", True), piece("$.a", stringValue="")], {"a": "x"}),
        ([piece("$.a", stringValue="x"), piece("$.a", stringValue="y")], {"a": "y"}),
        ([piece("$.a", boolValue=False), piece("$.b", nullValue="NULL_VALUE")], {"a": False, "b": None}),
        ([piece("$.a.b[0].c", numberValue=1), piece("$.a.b[1].c", numberValue=2)], {"a": {"b": [{"c": 1}, {"c": 2}]}}),
        ([piece("$['a b'][\"it's\"][0]", stringValue="x")], {"a b": {"it's": ["x"]}}),
        ([piece(r"$['it\'s']", stringValue="x")], {"it's": "x"}),
        ([piece("$.a[0][0]", numberValue=1), piece("$.a[0][1]", numberValue=2)], {"a": [[1, 2]]}),
    ],
)
def test_pieces_come_together_at_their_places(pieces: list[dict[str, Any]], whole: object) -> None:
    call = PartialCall()
    for one in pieces:
        assert call.grow({"partialArgs": [one], "willContinue": True})
    assert not call.grow({})
    assert orjson.loads(call.arguments()) == whole


@pytest.mark.parametrize(
    "path",
    ["", "$", "a", 7, None, "$.a[9]", "$.a[x]", "$[-1]", "$['a", "$x", "$[0]", "$" + ".a" * 300, "$.s.t", "$[*]"],
)
def test_a_place_that_is_none_is_a_malformed_answer(path: object) -> None:
    call = PartialCall()
    call.grow({"partialArgs": [piece("$.s", stringValue="x")]})
    with pytest.raises(MalformedReply):
        call.grow({"partialArgs": [{"jsonPath": path, "numberValue": 1}]})


def test_what_is_no_piece_is_a_malformed_answer() -> None:
    with pytest.raises(MalformedReply):
        PartialCall().grow({"partialArgs": ["x"]})


# ── in a stream ───────────────────────────────────────────────────────────────────────────────────────────


def streamed(*parts: list[dict[str, Any]], size: int = 1 << 20) -> list[Chunk]:
    events = [{"candidates": [{"content": {"role": "model", "parts": one}, "index": 0}]} for one in parts]
    events.append({"candidates": [{"content": {"parts": [{"text": ""}]}, "finishReason": "STOP", "index": 0}]})
    data = b"".join(b"data: " + orjson.dumps(event) + b"\r\n\r\n" for event in events)
    reader = Gemini().open_reader(same_dialect=False)
    chunks = [chunk for at in range(0, len(data), size) for chunk in reader.feed(data[at : at + size])]
    return [*chunks, *reader.close()]


def calls_in(chunks: list[Chunk]) -> list[tuple[str, object]]:
    names = {chunk.part: chunk.name for chunk in chunks if isinstance(chunk, ToolCallStarted)}
    texts = {chunk.part: chunk.arguments for chunk in chunks if isinstance(chunk, ToolCallDelta)}
    return [(name, orjson.loads(texts[part])) for part, name in names.items()]


def part(**call: Any) -> dict[str, Any]:
    return {"functionCall": call}


BEGUN = part(name="light", willContinue=True)
SET = part(partialArgs=[piece("$.on", boolValue=True)], willContinue=True)
LAST = part()


@given(st.integers(1, 400))
def test_calls_by_pieces_and_whole_ones_are_the_same_to_others(size: int) -> None:
    chunks = streamed(
        [{"text": "I "}],
        [{**BEGUN, "thoughtSignature": "c2ln"}],
        [SET],
        [LAST, BEGUN],
        [part(partialArgs=[piece("$.on", boolValue=False)])],
        [part(name="time", args={"zone": "UTC"})],
        size=size,
    )
    assert calls_in(chunks) == [("light", {"on": True}), ("light", {"on": False}), ("time", {"zone": "UTC"})]
    started = [chunk for chunk in chunks if isinstance(chunk, ToolCallStarted)]
    assert started[0].thought_signature == "c2ln"
    assert len({chunk.id for chunk in started}) == 3
    assert [chunk.text for chunk in chunks if isinstance(chunk, TextDelta)] == ["I "]
    assert [chunk.stop for chunk in chunks if isinstance(chunk, ChoiceEnded)] == [StopReason.TOOL_CALLS]


def test_a_call_that_promised_more_ends_with_the_next_one_or_with_the_answer() -> None:
    assert calls_in(streamed([BEGUN], [SET], [BEGUN], [SET])) == [("light", {"on": True})] * 2


def test_a_call_begun_with_its_first_values_keeps_them() -> None:
    begun = part(name="light", partialArgs=[piece("$.on", boolValue=True)])
    assert calls_in(streamed([begun], [LAST])) == [("light", {"on": True})]


def test_a_piece_of_a_call_that_never_began_is_a_malformed_answer() -> None:
    with pytest.raises(MalformedReply):
        streamed([SET])


@pytest.mark.parametrize("more", [{"streamFunctionCallArguments": True}, {"stream_function_call_arguments": True}])
def test_what_others_cannot_stream_so_is_named(more: dict[str, Any]) -> None:
    body: dict[str, object] = {
        "model": "m",
        "contents": [{"parts": [{"text": "hi"}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "AUTO", **more}},
    }
    asked = Gemini().parse_request(body, {})
    assert "toolConfig.functionCallingConfig.streamFunctionCallArguments" in asked.extensions
