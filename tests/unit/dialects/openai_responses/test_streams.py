"""Reading, tapping and writing streams: what recordings do not show."""

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from polyroute.dialects.openai_responses import OpenAIResponses
from polyroute.errors import ContentRefused, MalformedReply, Overloaded, ProviderError, StreamInterrupted
from polyroute.types.content import Image, Inline, Opaque, Part, Text, Thinking
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
    Usage,
    WireBytes,
)

DIALECT = OpenAIResponses()
REQUEST = DIALECT.parse_request({"model": "m", "input": "x", "stream": True}, {})
USAGE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
AT = {"item_id": "msg_1", "output_index": 0, "content_index": 0}


def event(kind: str, **fields: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields}))


def response(*output: Any, status: str = "completed", **more: Any) -> dict[str, Any]:
    return {"id": "resp_1", "model": "up", "status": status, "output": list(output), "usage": USAGE, **more}


CREATED = event("response.created", response=response(status="in_progress"))
OPENING = event("response.output_item.added", output_index=0, item={"type": "message", "content": []})
DELTA = event("response.output_text.delta", **AT, delta="Hi")
COMPLETED = event("response.completed", response=response())


def read(*pieces: bytes, same: bool = False) -> list[Chunk]:
    reader = DIALECT.open_reader(same_dialect=same)
    chunks: list[Chunk] = []
    for piece in pieces:
        chunks += reader.feed(piece)
    return chunks + reader.close()


def write(*chunks: Chunk, usage: Usage | None = None) -> list[Any]:
    writer = DIALECT.open_writer(REQUEST)
    sent = b"".join(map(writer.write, chunks)) + writer.end(Ended(usage=usage, model="up"), {})
    return [orjson.loads(line[6:]) for line in sent.split(b"\n") if line.startswith(b"data: ")]


# ── tapped ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_opening_is_held_until_the_first_word_and_the_last_event_until_the_end() -> None:
    tap = DIALECT.open_reader(same_dialect=True)
    assert tap.feed(CREATED) == []
    assert tap.feed(OPENING) == []
    assert tap.feed(DELTA) == [WireBytes(data=CREATED + OPENING + DELTA)]
    assert tap.feed(COMPLETED) == [
        Ended(usage=Usage(input_tokens=3, output_tokens=2), model="up", wire=COMPLETED, kept=("resp_1",))
    ]
    assert tap.feed(b"data: [DONE]\n\n") == []
    assert tap.close() == []


def test_an_answer_that_is_gone_on_with_says_its_id_with_its_first_word() -> None:
    tap = DIALECT.open_reader(same_dialect=True)
    created = event("response.created", response=response(status="queued", background=True))
    assert tap.feed(created) == []
    assert tap.feed(DELTA) == [WireBytes(data=created + DELTA, kept=("resp_1",))]
    assert tap.feed(DELTA) == [WireBytes(data=DELTA)]


def test_an_event_without_its_name_is_known_by_its_data() -> None:
    pieces = [piece[piece.index(b"data:") :] for piece in (CREATED, OPENING, DELTA, COMPLETED)]
    spaced = [orjson.loads(piece[6:]) for piece in pieces]
    other = [b"data: " + orjson.dumps({**value, "a": 1}, option=orjson.OPT_SORT_KEYS) + b"\n\n" for value in spaced]
    for form in (pieces, other):
        *_, ended = read(*form, same=True)
        assert isinstance(ended, Ended)
        assert ended.model == "up"


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("before", [(), (CREATED,), (CREATED, OPENING, DELTA)])
@pytest.mark.parametrize(
    ("last", "kind"),
    [
        (event("error", code="server_error", message="broke"), Overloaded),
        (event("error", error={"type": "rate_limit_error", "message": "slow"}), Overloaded),
        (b'data: {"error": {"message": "no", "code": 503}}\n\n', Overloaded),
        (event("response.failed", response=response(status="failed", error={"code": "server_error"})), Overloaded),
        (event("response.failed", response=response(status="failed", error=None)), Overloaded),
        (event("response.completed", response=response(status="failed", error={"code": "x"})), Overloaded),
        (
            event("error", error={"type": "invalid_request_error", "code": "content_filter", "message": "no"}),
            ContentRefused,
        ),
        (event("response.cancelled", response=response(status="cancelled")), StreamInterrupted),
        (b"<html>\n\n", MalformedReply),
        (b"data: nonsense\n\n", MalformedReply),
        (b"data: 7\n\n", MalformedReply),
        (event("response.completed"), MalformedReply),
        (b"", StreamInterrupted),
        (b"data: [DONE]\n\n", StreamInterrupted),
    ],
)
def test_whatever_is_no_proper_end_is_an_error(
    same: bool, before: tuple[bytes, ...], last: bytes, kind: type[ProviderError]
) -> None:
    with pytest.raises(kind):
        read(*before, last, same=same)


@pytest.mark.parametrize("same", [True, False])
def test_a_last_event_without_its_blank_line_is_the_end(same: bool) -> None:
    assert isinstance(read(CREATED, DELTA, COMPLETED.rstrip(), same=same)[-1], Ended)


def test_comments_and_unknown_events_change_nothing() -> None:
    filler = b": ping\n\n" + event("response.of_tomorrow", x=1) + event("keepalive")
    assert read(CREATED, filler, DELTA, filler, COMPLETED) == read(CREATED, DELTA, COMPLETED)


# ── read ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_server_that_sends_nothing_by_the_piece_is_heard_all_the_same() -> None:
    message = {"type": "message", "content": [{"type": "output_text", "text": "Hi", "annotations": [{"url": "u"}]}]}
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}
    items = (thought, message, call)
    dones = [event("response.output_item.done", output_index=at, item=item) for at, item in enumerate(items)]
    whole = event("response.completed", response=response(*items))
    by_items, by_the_end = read(CREATED, *dones, whole), read(CREATED, whole)
    assert by_items == by_the_end
    assert by_items[1:-2] == [
        ThinkingDelta(text="Hm.", part=0),
        TextDelta(text="Hi", part=1),
        PartAdded(content=Text(text="", citations=({"url": "u"},)), part=1),
        ToolCallStarted(id="c1", name="f", part=2),
        ToolCallDelta(arguments="{}", part=2),
    ]
    assert by_items[-2] == ChoiceEnded(stop=StopReason.TOOL_CALLS, raw_stop="completed")


def test_a_refusal_by_the_piece_ends_as_one() -> None:
    chunks = read(CREATED, event("response.refusal.delta", **AT, delta="No."), COMPLETED)
    assert chunks[1] == RefusalDelta(text="No.", part=0)
    assert chunks[2] == ChoiceEnded(stop=StopReason.REFUSAL, raw_stop="completed")


def test_an_item_that_only_this_dialect_knows_comes_whole() -> None:
    item: dict[str, object] = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    chunks = read(CREATED, event("response.output_item.done", output_index=0, item=item), COMPLETED)
    assert chunks[1] == PartAdded(content=Opaque(dialect="openai_responses", kind="web_search_call", raw=item), part=0)


# ── written ───────────────────────────────────────────────────────────────────────────────────────────────

STARTED = Started(id="a1", model="up", created_s=7)
END = ChoiceEnded(stop=StopReason.END)


def test_thought_words_and_calls_follow_one_another() -> None:
    events = write(
        STARTED,
        ThinkingDelta(text="Hm.", part=0),
        ThinkingDelta(signature="signed", part=0),
        TextDelta(text="Hi", part=1),
        ToolCallStarted(id="c1", name="f", part=2),
        ToolCallDelta(arguments='{"a":', part=2),
        ToolCallDelta(arguments="1}", part=2),
        ChoiceEnded(stop=StopReason.TOOL_CALLS),
    )
    assert [told["type"].removeprefix("response.") for told in events] == [
        "created", "in_progress",
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done",
        "output_item.added", "content_part.added", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.delta",
        "function_call_arguments.done", "output_item.done",
        "completed",
    ]  # fmt: skip
    assert [told["sequence_number"] for told in events] == list(range(len(events)))
    assert [told["output_index"] for told in events if told["type"] == "response.output_item.done"] == [0, 1, 2]
    output = events[-1]["response"]["output"]
    assert output[0]["summary"][0]["text"] == "Hm."
    assert output[1]["content"][0]["text"] == "Hi"
    assert (output[2]["arguments"], output[2]["status"]) == ('{"a":1}', "completed")
    assert b"signed" not in orjson.dumps(events)


def test_a_call_without_arguments_has_an_empty_object() -> None:
    events = write(STARTED, ToolCallStarted(id="c1", name="f", part=0), END)
    assert [told["arguments"] for told in events if told["type"].endswith("arguments.done")] == ["{}"]


def test_a_citation_that_comes_late_still_reaches_its_text() -> None:
    cited = Text(text="", citations=({"url": "https://x.example", "title": "X"},))
    events = write(
        STARTED, TextDelta(text="Hi", part=0), ToolCallStarted(id="c", name="f", part=1),
        PartAdded(content=cited, part=0), END,
    )  # fmt: skip
    note = {"type": "url_citation", "url": "https://x.example", "title": "X", "start_index": 0, "end_index": 2}
    [added] = [told for told in events if told["type"] == "response.output_text.annotation.added"]
    assert (added["output_index"], added["content_index"], added["annotation"]) == (0, 0, note)
    assert events[-1]["response"]["output"][0]["content"][0]["annotations"] == [note]


def test_an_answer_cut_at_its_limit_is_incomplete() -> None:
    events = write(STARTED, TextDelta(text="Hi"), ChoiceEnded(stop=StopReason.MAX_TOKENS))
    last = events[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert last["response"]["output"][0]["status"] == "incomplete"


def test_an_answer_that_says_nothing_is_whole_all_the_same() -> None:
    events = write(usage=Usage(input_tokens=3))
    assert [told["type"] for told in events] == ["response.created", "response.in_progress", "response.completed"]
    assert events[-1]["response"]["usage"]["input_tokens"] == 3


def test_sealed_reasoning_of_its_own_goes_whole_and_its_words_are_not_repeated() -> None:
    sealed: dict[str, object] = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"}
    content = Opaque(dialect="openai_responses", kind="reasoning", raw=sealed)
    said = (PartAdded(content=content, part=0), ThinkingDelta(text="Hm.", part=1), TextDelta(text="Hi", part=2))
    events = write(STARTED, *said, END)
    output = events[-1]["response"]["output"]
    assert output[0] == sealed
    assert [item["type"] for item in output] == ["reasoning", "message"]


def test_an_error_is_an_event_that_sdks_raise() -> None:
    writer = DIALECT.open_writer(REQUEST)
    told = orjson.loads(writer.error("upstream_error", "it broke", "all_failed").split(b"data: ")[1])
    assert (told["type"], told["message"], told["error"]["message"]) == ("error", "it broke", "it broke")


def test_the_report_goes_into_the_last_answer_in_any_order_of_fields() -> None:
    answer = orjson.dumps(response())
    for data in (
        b'{"type":"response.completed","response":%s,"sequence_number":3}' % answer,
        b'{"sequence_number":3,"response": %s ,"type":"response.completed"}' % answer,
    ):
        tail = b"event: response.completed\ndata: %s\n\n" % data
        sent = DIALECT.open_writer(REQUEST).end(Ended(usage=None, wire=tail), {"cost_usd": "1"})
        assert sent.replace(b',"polyroute":{"cost_usd":"1"}', b"") == tail
        assert orjson.loads(sent.split(b"data: ")[1])["response"]["polyroute"] == {"cost_usd": "1"}


parts: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, text=st.text(min_size=1, max_size=9)), st.builds(Thinking, text=st.text(min_size=1, max_size=9))
)


@given(st.lists(parts, max_size=6), st.lists(st.integers(0, 4000), max_size=20))
def test_what_is_written_is_read_back_however_it_is_cut(said: list[Part], places: list[int]) -> None:
    chunks: list[Chunk] = [STARTED]
    for number, part in enumerate(said):
        if isinstance(part, Text):
            chunks += [TextDelta(text=sign, part=number) for sign in part.text]
        elif isinstance(part, Thinking):
            chunks += [ThinkingDelta(text=sign, part=number) for sign in part.text]
    writer = DIALECT.open_writer(REQUEST)
    sent = b"".join(map(writer.write, [*chunks, END])) + writer.end(Ended(usage=None, model="up"), {})
    bounds = sorted({place % (len(sent) + 1) for place in places} | {0, len(sent)})
    again = read(*(sent[start:stop] for start, stop in pairwise(bounds)))
    assert words(again) == words(chunks)
    assert again == read(sent)


def words(chunks: list[Chunk]) -> list[tuple[str, str]]:
    return [(type(chunk).__name__, chunk.text) for chunk in chunks if isinstance(chunk, TextDelta | ThinkingDelta)]


def test_every_event_is_as_openai_s_own_schema_has_it() -> None:
    cited = Text(text="Hi", citations=({"url": "https://x.example", "title": "X"},))
    events = write(
        STARTED,
        ThinkingDelta(text="Hm.", part=0),
        TextDelta(text="Hi", part=1, logprobs=(TokenLogprob(token="Hi", logprob=-0.5),)),
        PartAdded(content=cited, part=2),
        RefusalDelta(text="No.", part=3),
        ToolCallStarted(id="c1", name="f", part=4),
        ToolCallDelta(arguments="{}", part=4),
        PartAdded(content=Image(media=Inline(media_type="image/png", data="AAAA")), part=5),
        ChoiceEnded(stop=StopReason.TOOL_CALLS),
        usage=Usage(input_tokens=3),
    )
    schema: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    assert [schema.validate_python(told).type for told in events] == [told["type"] for told in events]
