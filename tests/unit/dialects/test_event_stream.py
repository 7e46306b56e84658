"""Frames, held against botocore's own reader, cut anywhere and spoiled anywhere."""

import struct
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from polyroute.dialects.event_stream import MAX_FRAME_BYTES, FrameSplitter, encode_frame, parse_frame
from polyroute.errors import MalformedReply

HEADERS = st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=40), max_size=4)
FRAMES = st.lists(st.tuples(HEADERS, st.binary(max_size=60)), min_size=1, max_size=4)


def prelude(length: int, headers_length: int) -> bytes:
    lengths = struct.pack("!II", length, headers_length)
    return lengths + struct.pack("!I", crc32(lengths))


def sealed(headers: bytes, payload: bytes = b"") -> bytes:
    message = prelude(16 + len(headers) + len(payload), len(headers)) + headers + payload
    return message + struct.pack("!I", crc32(message))


@given(HEADERS, st.binary(max_size=200))
def test_what_is_encoded_is_parsed_and_botocore_agrees(headers: dict[str, str], payload: bytes) -> None:
    frame = encode_frame(headers, payload)
    parsed = parse_frame(frame)
    assert (parsed.headers, parsed.payload) == (headers, payload)
    buffer = EventStreamBuffer()
    buffer.add_data(frame)
    event = next(iter(buffer))
    assert (event.headers, event.payload) == (headers, payload)


@given(FRAMES, st.data())
def test_frames_are_the_same_however_their_bytes_are_cut(
    frames: list[tuple[dict[str, str], bytes]], data: st.DataObject
) -> None:
    encoded = [encode_frame(*frame) for frame in frames]
    whole = b"".join(encoded)
    places = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=10)))
    splitter = FrameSplitter()
    found: list[bytes] = []
    for start, end in zip([0, *places], [*places, len(whole)], strict=True):
        found += splitter.feed(whole[start:end])
    assert found == encoded
    assert splitter.rest() == b""


def test_frames_are_the_same_byte_by_byte() -> None:
    encoded = [encode_frame({":event-type": "a"}, b"12"), encode_frame({}, b""), encode_frame({"x": "é"}, b"\0" * 9)]
    splitter = FrameSplitter()
    assert [frame for byte in b"".join(encoded) for frame in splitter.feed(bytes([byte]))] == encoded


@given(FRAMES, st.data())
def test_one_wrong_bit_is_an_error_and_never_a_wait(
    frames: list[tuple[dict[str, str], bytes]], data: st.DataObject
) -> None:
    whole = bytearray(b"".join(encode_frame(*frame) for frame in frames))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(MalformedReply):
        FrameSplitter().feed(bytes(whole))


@given(st.binary(min_size=12, max_size=100))
def test_other_bytes_are_no_frames(data: bytes) -> None:
    with pytest.raises(MalformedReply):
        FrameSplitter().feed(data)


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(prelude(MAX_FRAME_BYTES + 1, 0), id="longer than any answer"),
        pytest.param(prelude(15, 0), id="shorter than an empty frame"),
        pytest.param(prelude(20, 5), id="headers longer than the frame"),
        pytest.param(prelude(MAX_FRAME_BYTES, 200_000), id="headers longer than any"),
    ],
)
def test_impossible_lengths_are_refused_before_the_bytes_come(start: bytes) -> None:
    with pytest.raises(MalformedReply):
        FrameSplitter().feed(start)


def test_a_frame_in_the_making_is_kept() -> None:
    frame = encode_frame({}, b"1234")
    splitter = FrameSplitter()
    assert splitter.feed(frame + frame[:7]) == [frame]
    assert splitter.rest() == frame[:7]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"\x00", True),
        (b"\x01", False),
        (b"\x02\xff", -1),
        (b"\x03\x01\x00", 256),
        (b"\x04\x00\x00\x00\x07", 7),
        (b"\x05" + b"\x00" * 7 + b"\x09", 9),
        (b"\x06\x00\x02\xff\xfe", b"\xff\xfe"),
        (b"\x07\x00\x02hi", "hi"),
        (b"\x08" + b"\x00" * 7 + b"\x05", 5),
        (b"\x09" + b"\x01" * 16, b"\x01" * 16),
    ],
)
def test_every_type_of_header(value: bytes, expected: object) -> None:
    assert parse_frame(sealed(b"\x01h" + value)).headers == {"h": expected}


@pytest.mark.parametrize(
    "headers",
    [b"\x01h\x0a", b"\x05h", b"\x01h\x07\x00\xffhi", b"\x01\xff\x00", b"\x01h\x04\x00", b"\x01h\x07\x00\x06hi"],
)
def test_headers_that_cannot_be_read_are_refused(headers: bytes) -> None:
    with pytest.raises(MalformedReply):
        parse_frame(sealed(headers))
