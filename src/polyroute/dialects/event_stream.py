"""AWS event stream framing: bytes into whole, verified frames, a frame into headers and payload, and back. Pure.

A frame is a prelude (its length, its headers' length, a checksum of the two), headers, payload and a checksum of all
that. Both checksums are verified before anything of a frame is believed, so that a wrong length is an error at once
and never a wait for bytes that do not come.
Source: Smithy, "Amazon Event Stream Specification", prelude, headers and message checksum.
"""

import struct
from collections.abc import Mapping
from zlib import crc32

from msgspec import Struct

from polyroute.errors import MalformedReply

MEDIA_TYPE = "application/vnd.amazon.eventstream"
MAX_FRAME_BYTES = 16 * 1024 * 1024
MAX_HEADER_BYTES = 128 * 1024
PRELUDE_BYTES = 12
_CHECKSUM_BYTES = 4
_LEAST_BYTES = PRELUDE_BYTES + _CHECKSUM_BYTES

_PRELUDE = struct.Struct("!III")
_CHECKSUM = struct.Struct("!I")
_LENGTH = struct.Struct("!H")
# Header values of fixed size by their type: signed integers of 1 to 8 bytes, and a time in milliseconds.
_NUMBERS = {2: struct.Struct("!b"), 3: struct.Struct("!h"), 4: struct.Struct("!i"), 5: struct.Struct("!q")}
_TIME = 8
_TRUE, _FALSE, _BYTES, _STRING, _UUID = 0, 1, 6, 7, 9

HeaderValue = bool | int | bytes | str


class Frame(Struct, frozen=True):
    headers: dict[str, HeaderValue]
    payload: bytes


class FrameSplitter:
    """Cuts a byte stream into frames. The frames joined are the exact bytes fed."""

    __slots__ = ("_needed", "_tail")

    def __init__(self) -> None:
        self._tail = bytearray()  # the frame that is not whole yet
        self._needed = PRELUDE_BYTES  # how long it has to be before it can be looked at again

    def feed(self, data: bytes) -> list[bytes]:
        """Frames completed by `data`. Raises MalformedReply for a wrong checksum or an impossible length."""
        if self._tail:
            self._tail += data
            if len(self._tail) < self._needed:
                return []
            data = bytes(self._tail)
            self._tail.clear()
        frames: list[bytes] = []
        start, size = 0, len(data)
        self._needed = PRELUDE_BYTES
        while size - start >= PRELUDE_BYTES:
            length = _frame_length(data, start)
            if size - start < length:
                self._needed = length
                break
            frame = data[start : start + length]
            if crc32(memoryview(frame)[:-_CHECKSUM_BYTES]) != _CHECKSUM.unpack_from(frame, length - _CHECKSUM_BYTES)[0]:
                raise MalformedReply("the provider sent a frame whose checksum is wrong")
            frames.append(frame)
            start += length
        if start < size:
            self._tail += memoryview(data)[start:]
        return frames

    def rest(self) -> bytes:
        """What was fed after the last whole frame."""
        return bytes(self._tail)


def parse_frame(frame: bytes) -> Frame:
    """A verified frame's headers and payload. Raises MalformedReply where its headers cannot be read."""
    end = PRELUDE_BYTES + _PRELUDE.unpack_from(frame)[1]
    headers: dict[str, HeaderValue] = {}
    at = PRELUDE_BYTES
    try:
        while at < end:
            name_end = at + 1 + frame[at]
            name = frame[at + 1 : name_end].decode()
            headers[name], at = _read_value(frame, name_end)
    except (struct.error, UnicodeDecodeError, IndexError) as exc:
        raise MalformedReply("the provider sent a frame whose headers cannot be read") from exc
    if at != end:
        raise MalformedReply("the provider sent a frame whose headers are longer than it says")
    return Frame(headers, frame[end:-_CHECKSUM_BYTES])


def encode_frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """A frame with string headers, as JSON services send them."""
    written = b"".join(
        b"%c%b\x07%b%b" % (len(key := name.encode()), key, _LENGTH.pack(len(text := value.encode())), text)
        for name, value in headers.items()
    )
    lengths = struct.pack("!II", _LEAST_BYTES + len(written) + len(payload), len(written))
    message = b"%b%b%b%b" % (lengths, _CHECKSUM.pack(crc32(lengths)), written, payload)
    return message + _CHECKSUM.pack(crc32(message))


def _frame_length(data: bytes, start: int) -> int:
    """Of the frame at `start`, whose prelude is there."""
    length, headers_length, checksum = _PRELUDE.unpack_from(data, start)
    if crc32(memoryview(data)[start : start + 8]) != checksum:
        raise MalformedReply("the provider sent something that is no event stream frame")
    if length > MAX_FRAME_BYTES:
        raise MalformedReply(f"the provider sent a frame longer than {MAX_FRAME_BYTES} bytes")
    if headers_length > MAX_HEADER_BYTES or length < _LEAST_BYTES + headers_length:
        raise MalformedReply("the provider sent a frame whose lengths contradict each other")
    return int(length)


def _read_value(frame: bytes, at: int) -> tuple[HeaderValue, int]:
    """The header value at `at`, and where it ends."""
    kind = frame[at]
    at += 1
    if kind in (_STRING, _BYTES):
        start = at + 2
        end = start + _LENGTH.unpack_from(frame, at)[0]
        if end > len(frame):
            raise IndexError
        return (frame[start:end].decode() if kind == _STRING else frame[start:end]), end
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, at
    if kind == _UUID:
        return frame[at : at + 16], at + 16
    number = _NUMBERS[5] if kind == _TIME else _NUMBERS.get(kind)
    if number is None:
        raise MalformedReply(f"the provider sent a frame with a header of the unknown type {kind}")
    return number.unpack_from(frame, at)[0], at + number.size
