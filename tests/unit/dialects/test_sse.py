from itertools import cycle, pairwise

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


@given(st.lists(lines, max_size=8), st.lists(ends, min_size=1, max_size=40), st.lists(st.integers(0, 300)))
def test_line_ends_of_all_kinds_make_the_same_events_however_they_arrive(
    events: list[list[bytes]], line_ends: list[bytes], cuts: list[int]
) -> None:
    turns = cycle(line_ends)
    raw = b""
    for line in (line for event in events for line in (*event, b"")):
        end = next(turns)
        # CR and a blank line's LF would make one CRLF: such a stream cannot be written.
        raw += line + (b"\r\n" if end == b"\n" and raw.endswith(b"\r") and not line else end)
    places = sorted({min(cut, len(raw)) for cut in cuts} | {0, len(raw)})
    splitter = EventSplitter()
    found = [event for start, stop in pairwise(places) for event in splitter.feed(raw[start:stop])]
    told = [parse_event(event) for event in [*found, splitter.rest()]]
    assert [event for event in told if event != ("", b"")] == [
        event for written in events if (event := parse_event(b"\n".join(written))) != ("", b"")
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_byte_order_mark_before_the_first_event_is_none_of_it(size: int) -> None:
    raw = b"\xef\xbb\xbfdata: a\n\ndata: b\n\n"
    splitter = EventSplitter()
    found = [event for start in range(0, len(raw), size) for event in splitter.feed(raw[start : start + size])]
    assert found == [b"data: a\n\n", b"data: b\n\n"]


def test_the_only_event_of_a_stream_loses_its_mark_without_its_blank_line() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"\xef\xbb\xbfdata: a") == []
    assert splitter.rest() == b"data: a"


@given(st.binary(max_size=300).filter(lambda raw: not raw.startswith(b"\xef\xbb\xbf")), st.integers(1, 7))
def test_no_byte_is_lost(raw: bytes, size: int) -> None:
    splitter = EventSplitter()
    found = [event for start in range(0, len(raw), size) for event in splitter.feed(raw[start : start + size])]
    assert b"".join(found) + splitter.rest() == raw


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n", b"\n\r\n"])
def test_a_flood_of_empty_lines_ends(line_end: bytes) -> None:
    with pytest.raises(MalformedReply, match="without data"):
        EventSplitter().feed(line_end * (1 << 18))


def test_keep_alives_between_data_are_no_flood() -> None:
    splitter = EventSplitter()
    for _ in range(5):
        assert len(splitter.feed(b": keep-alive\n\n" * 10_000 + b"data: a\n\n")) == 10_001


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
