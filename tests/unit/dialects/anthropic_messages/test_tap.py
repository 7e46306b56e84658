from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.dialects.anthropic_messages.tap import Tap
from polyroute.errors import MalformedReply, Overloaded, ProviderError, StreamInterrupted
from polyroute.types.response import Chunk, Ended, Usage, WireBytes

START = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","model":"claude",'
    b'"usage":{"input_tokens":9,"cache_read_input_tokens":4,"output_tokens":1}}   }\n\n'
)
OPEN = (
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"text","text":""}}\n\n'
)
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
WORD = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"an error, a message_stop"}}\n\n'
)
CLOSE = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0 }\n\n'
DELTA = (
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
    b'"usage":{"output_tokens":15}      }\n\n'
)
STOP = b'event: message_stop\ndata: {"type":"message_stop" }\n\n'
ERROR = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
TOOL = (
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}\n\n'
)
WHOLE = START + OPEN + PING + WORD + WORD + CLOSE + DELTA + PING + STOP
USAGE = Usage(input_tokens=9, cached_input_tokens=4, output_tokens=15)


def passed(chunks: list[Chunk]) -> bytes:
    return b"".join(chunk.data for chunk in chunks if isinstance(chunk, WireBytes))


@given(st.lists(st.integers(0, len(WHOLE)), max_size=12), st.sampled_from([b"\n", b"\r\n"]))
def test_however_the_bytes_arrive_they_leave_the_same(cuts: list[int], line_end: bytes) -> None:
    whole = WHOLE.replace(b"\n", line_end)
    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    tap = Tap()
    chunks = [chunk for a, b in pairwise(places) for chunk in tap.feed(whole[a:b])] + tap.close()
    ended = chunks[-1]
    assert isinstance(ended, Ended)
    assert passed(chunks) + (ended.wire or b"") == whole
    assert (ended.usage, ended.model) == (USAGE, "claude")
    assert [type(chunk) for chunk in chunks].count(Ended) == 1


@pytest.mark.parametrize("first", [WORD, TOOL, DELTA])
def test_the_opening_waits_for_the_first_content(first: bytes) -> None:
    tap = Tap()
    assert tap.feed(START + OPEN + PING) == []
    assert passed(tap.feed(first)).startswith(START + OPEN + PING)


def test_one_feed_gives_at_most_one_run_of_bytes() -> None:
    tap = Tap()
    tap.feed(START + OPEN)
    assert tap.feed(WORD + PING + WORD) == [WireBytes(data=START + OPEN + WORD + PING + WORD)]


def test_the_closing_events_wait_for_the_books() -> None:
    tap = Tap()
    assert tap.feed(START + OPEN + WORD + CLOSE + DELTA) == [WireBytes(data=START + OPEN + WORD + CLOSE)]
    assert tap.feed(STOP) == [Ended(usage=USAGE, model="claude", wire=DELTA + STOP)]
    assert tap.close() == []


@pytest.mark.parametrize("before", [b"", START + OPEN + PING, START + OPEN + WORD, START + OPEN + WORD + DELTA])
def test_an_error_is_raised_wherever_it_comes(before: bytes) -> None:
    tap = Tap()
    tap.feed(before)
    with pytest.raises(Overloaded):
        tap.feed(ERROR)


@pytest.mark.parametrize(
    "kept", [b"", START, START + OPEN + WORD, START + OPEN + WORD + CLOSE, START + OPEN + WORD + WORD[:40]]
)
def test_a_cut_answer_is_interrupted(kept: bytes) -> None:
    tap = Tap()
    tap.feed(kept)
    with pytest.raises(ProviderError):
        tap.close()


def test_an_end_without_a_stop_reason_is_no_end() -> None:
    with pytest.raises(StreamInterrupted):
        Tap().feed(START + OPEN + WORD + STOP)


def test_a_missing_end_mark_is_added() -> None:
    tap = Tap()
    tap.feed(START + OPEN + WORD + DELTA)
    (ended,) = tap.close()
    assert isinstance(ended, Ended)
    assert ended.wire == DELTA + b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


def test_a_last_event_without_its_blank_line_counts() -> None:
    tap = Tap()
    tap.feed(START + OPEN + WORD + DELTA + STOP.rstrip())
    (ended,) = tap.close()
    assert isinstance(ended, Ended)
    assert ended.usage == USAGE


@pytest.mark.parametrize("garbage", [b"<html>\n\n</html>\n\n", b"data: nope\n\n"])
def test_garbage_is_malformed(garbage: bytes) -> None:
    with pytest.raises(MalformedReply):
        Tap().feed(garbage)


def test_a_page_without_blank_lines_is_malformed_too() -> None:
    tap = Tap()
    tap.feed(b"<html><body>502</body></html>")
    with pytest.raises(MalformedReply):
        tap.close()


def test_events_without_a_name_pass_as_well() -> None:
    whole = b"".join(line + b"\n\n" for line in WHOLE.splitlines() if line.startswith(b"data:"))
    tap = Tap()
    chunks = tap.feed(whole) + tap.close()
    ended = chunks[-1]
    assert isinstance(ended, Ended)
    assert passed(chunks) + (ended.wire or b"") == whole


def test_comments_pass() -> None:
    tap = Tap()
    tap.feed(START + OPEN + WORD)
    assert tap.feed(b": keep-alive\n\n") == [WireBytes(data=b": keep-alive\n\n")]


def test_an_endless_opening_is_let_go() -> None:
    tap = Tap()
    assert passed(tap.feed(START + PING * 3000)).startswith(START)
