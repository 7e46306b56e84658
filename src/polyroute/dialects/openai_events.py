"""Streams of typed events, as OpenAI's images and audio have them: passed on as they came, or told anew.

The event that ends an answer (`….done`, `….completed`) is held back until the books are written. A stream without one
never ended properly. Events are looked at, not parsed, until then.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import orjson
from msgspec import Struct

from polyroute.dialects.json_text import UNREADABLE
from polyroute.dialects.openai_chat.errors import error_in, render_error
from polyroute.dialects.sse import MAX_EVENT_BYTES, EventSplitter, parse_event
from polyroute.errors import MalformedReply, StreamInterrupted
from polyroute.types.response import Chunk, Ended, Usage, WireBytes

Told = dict[str, Any]  # an event's data, its `type` included

_ENDS = (b'.done"', b".done\n", b'.completed"', b".completed\n")
_MAX_WHOLE_BYTES = 4 * MAX_EVENT_BYTES


class _InputDetails(Struct):
    text_tokens: int | None = None
    audio_tokens: int | None = None


class WireUsage(Struct):
    """Usage as events and answers of audio and images have it."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens: int | None = None  # Mistral
    completion_tokens: int | None = None
    prompt_audio_seconds: int | float | None = None
    seconds: int | float | None = None  # OpenAI's whisper-1
    input_token_details: _InputDetails | None = None


class _Event(Struct):
    usage: WireUsage | None = None
    model: str | None = None


_EVENT = msgspec.json.Decoder(_Event)


class EventTap:
    """Fulfils the port `StreamReader`. `whole` makes events of an answer that came whole all the same."""

    def __init__(
        self,
        whole: Callable[[bytes], list[Told]],
        read_usage: Callable[[WireUsage], Usage | None],
    ) -> None:
        self._whole = whole
        self._read_usage = read_usage
        self._events = EventSplitter()
        self._held = b""  # the newest event that may be the last
        self._tail = b""  # what followed it without saying anything: comments, the end mark
        self._body: bytearray | None = None  # of an answer that is no stream
        self._begun = False

    def feed(self, data: bytes) -> list[Chunk]:
        if not self._begun and data.strip():
            self._begun = True
            if data.lstrip()[:1] in (b"{", b"["):
                self._body = bytearray()
        if self._body is not None:
            self._body += data
            if len(self._body) > _MAX_WHOLE_BYTES:
                raise MalformedReply(f"the provider sent an answer longer than {_MAX_WHOLE_BYTES} bytes")
            return []
        passed: list[bytes] = []
        for event in self._events.feed(data):
            self._weigh(event, passed)
        return [WireBytes(data=b"".join(passed))] if passed else []

    def close(self) -> list[Chunk]:
        passed: list[bytes] = []
        if self._body is not None:
            events = [encode(told) for told in self._whole(bytes(self._body))]
            passed, self._held = events[:-1], events[-1]
        elif (rest := self._events.rest()) and _is_whole(rest):  # the last event may lack its blank line
            self._weigh(rest, passed)
        if not self._held:
            raise StreamInterrupted("the provider's stream stopped before the answer was finished")
        seen = _seen(self._held)
        usage = None if seen.usage is None else self._read_usage(seen.usage)
        chunks: list[Chunk] = [WireBytes(data=b"".join(passed))] if passed else []
        return [*chunks, Ended(usage=usage, model=seen.model or "", wire=self._held + self._tail)]

    def _weigh(self, event: bytes, passed: list[bytes]) -> None:
        if b"error" in event:
            _refuse_error(event)
        if b"data" not in event or b"[DONE]" in event:
            if self._held:
                self._tail += event
            else:
                passed.append(event)
            return
        if self._held:
            passed += (self._held, self._tail)
            self._held = self._tail = b""
        if any(end in event for end in _ENDS):
            self._held = event
        else:
            passed.append(event)


class EventPasser:
    """Fulfils the port `StreamWriter`."""

    def __init__(self, tell: Callable[[Chunk], Told | None], closing: Callable[[Ended], Told | None]) -> None:
        self._tell = tell
        self._closing = closing
        self._last: Told | None = None  # held back until the end, which has something to add to it

    def write(self, chunk: Chunk) -> bytes:
        if isinstance(chunk, WireBytes):
            return chunk.data
        told = self._tell(chunk)
        if told is None:
            return b""
        before, self._last = self._last, told
        return b"" if before is None else encode(before)

    def end(self, ended: Ended, report: Mapping[str, object]) -> bytes:
        if ended.wire is not None:
            return _reported(ended.wire, report)
        closing = self._closing(ended)
        events = [told for told in (self._last, closing) if told is not None]
        if not events:
            return b""
        return b"".join(map(encode, events[:-1])) + encode({**events[-1], "polyroute": dict(report)})

    def error(self, kind: str, message: str, code: str | None) -> bytes:
        error = orjson.loads(render_error(kind, message, field=None, code=code))
        return encode({"type": "error", **error})


def encode(told: Told) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (told["type"].encode(), orjson.dumps(told))


def _is_whole(event: bytes) -> bool:
    try:
        orjson.loads(parse_event(event)[1])
    except orjson.JSONDecodeError:
        return False
    return True


def _seen(event: bytes) -> _Event:
    try:
        return _EVENT.decode(parse_event(event)[1])
    except UNREADABLE:
        return _Event()


def _refuse_error(event: bytes) -> None:
    """Raises where the event is one of an error."""
    name, data = parse_event(event)
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        if name == "error":
            raise error_in(data.decode("utf-8", "replace"))
        return
    if name == "error" or found.get("type") == "error" or found.get("error"):
        raise error_in(found)


def _reported(tail: bytes, report: Mapping[str, object]) -> bytes:
    """`tail` with `report` as the last field of its first event, whose bytes stay as they are otherwise."""
    first = next(iter(EventSplitter().feed(tail)), tail)
    data = parse_event(first)[1]
    at = tail.find(data) if data.startswith(b"{") and b"\n" not in data else -1
    if at < 0:
        return tail
    end = at + len(data.rstrip()) - 1
    return tail[:end] + b',"polyroute":' + orjson.dumps(report) + tail[end:]
