from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.dialects.sse import MAX_EVENT_BYTES, EventSplitter, parse_event
from polyroute.errors import MalformedReply

lines = st.lists(st.sampled_from([b"data: {}", b"data: a b", b": ping", b"event: x", b"id: 1"]), min_size=1, max_size=3)
streams = st.lists(lines, max_size=8)
ends = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(streams, ends, st.lists(st.integers(0, 200)))
def test_events_are_the_same_however_the_bytes_arrive(events: list[list[bytes]], end: bytes, cuts: list[int]) -> None:
    whole = [end.join(event) + end + end for event in events]
    raw = b"".join(whole)
    places = sorted({min(cut, len(raw)) for cut in cuts} | {0, len(raw)})
    splitter = EventSplitter()
    found = [event for start, stop in pairwise(places) for event in splitter.feed(raw[start:stop])]
    assert found == whole
    assert splitter.rest() == b""


@given(st.binary(max_size=300), st.integers(1, 7))
def test_no_byte_is_lost(raw: bytes, size: int) -> None:
    splitter = EventSplitter()
    found = [event for start in range(0, len(raw), size) for event in splitter.feed(raw[start : start + size])]
    assert b"".join(found) + splitter.rest() == raw


def test_an_unfinished_event_waits() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: a\n\ndata: b") == [b"data: a\n\n"]
    assert splitter.rest() == b"data: b"
    assert splitter.feed(b"\n") == []
    assert splitter.feed(b"\n") == [b"data: b\n\n"]


def test_an_endless_event_is_cut_off() -> None:
    splitter = EventSplitter()
    piece = b"x" * (MAX_EVENT_BYTES // 4)
    for _ in range(4):
        assert splitter.feed(piece) == []
    with pytest.raises(MalformedReply, match="longer than"):
        splitter.feed(b"x")


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (b'data: {"a":1}\n\n', ("", b'{"a":1}')),
        (b'data:{"a":1}\n\n', ("", b'{"a":1}')),
        (b"data: a\ndata: b\n\n", ("", b"a\nb")),
        (b"event: ping\ndata: {}\n\n", ("ping", b"{}")),
        (b"event: ping\r\ndata: {}\r\n\r\n", ("ping", b"{}")),
        (b"data: a\r\r", ("", b"a")),
        (b": keep alive\n\n", ("", b"")),
        (b"id: 1\nretry: 5\n\n", ("", b"")),
        (b"data\n\n", ("", b"")),
        (b"data:  two spaces\n\n", ("", b" two spaces")),
        (b"data: [DONE]", ("", b"[DONE]")),
        (b"", ("", b"")),
    ],
)
def test_an_event_has_a_name_and_data(event: bytes, expected: tuple[str, bytes]) -> None:
    assert parse_event(event) == expected
