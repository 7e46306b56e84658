"""One HTTP/1.1 connection to an upstream, and the answer that is on it (RFC 9112, the client's half).

Bytes are parsed by httptools (llhttp, strict). A connection serves one call at a time and goes back to its owner only
after an answer that was read to its exact end with nothing behind it; any doubt shuts it. One timer per connection
watches all deadlines: it is moved only to be earlier, and looks at the clock when it fires.
"""

import asyncio
import select
from collections.abc import AsyncGenerator, Mapping
from typing import Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from polyroute.errors import MalformedReply, ProviderError, ProviderTimeout, StreamInterrupted, Unreachable
from polyroute.providers.transport.bounds import (
    HIGH_WATER_BYTES,
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    body_too_long,
    head_too_long,
    inflater,
    objection,
)
from polyroute.providers.transport.inflating import Inflater
from polyroute.types.cards import Deadlines

_LINGER_S = 0.25  # for the end of a body whose meaning is already known
_ONE_WRITE_BYTES = 64 * 1024  # up to here a copy is cheaper than a second system call

_HEAD, _DATA, _END = range(3)  # what an answer's reader waits for


class Owner(Protocol):
    """Who keeps a connection between calls."""

    def idle(self, connection: "Connection") -> None: ...

    def gone(self, connection: "Connection") -> None: ...


class Http1Reply:
    """One answer. Holds what arrived and was not read yet; knows nothing of the socket."""

    __slots__ = (
        "_connection",
        "_head",
        "_held_bytes",
        "_inflater",
        "_is_detached",
        "_is_until_eof",
        "_last_at",
        "_sent_at",
        "_started_at",
        "_waiter",
        "_wants",
        "deadlines",
        "failure",
        "is_complete",
        "is_unanswered",
        "parts",
        "status",
    )

    def __init__(self, connection: "Connection", deadlines: Deadlines, *, started_at: float, sent_at: float) -> None:
        self._connection = connection
        self._head: dict[bytes, bytes] = {}
        self.parts: list[bytes] = []
        self._held_bytes = 0
        self._inflater: Inflater | None = None  # of a compressed body
        self._waiter: asyncio.Future[None] | None = None
        self._wants = _HEAD
        self.failure: ProviderError | None = None
        self._started_at = started_at  # what the total is counted from
        self._sent_at = sent_at  # what the first token is counted from
        self._last_at: float | None = None  # when bytes of the body last came
        self._is_until_eof = False
        self._is_detached = False
        self.deadlines = deadlines
        self.status = 0  # 0: the head is not here yet
        self.is_complete = False
        self.is_unanswered = False  # the connection closed before a single byte of this answer

    @property
    def headers(self) -> Mapping[str, str]:
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self._head.items()}

    async def head(self) -> None:
        """Waits for status and headers. Raises the ProviderError that came instead."""
        while not self.status and self.failure is None:
            await self._wait(_HEAD)
        if self.failure is not None:
            raise self.failure

    async def read(self) -> bytes:
        """The whole body."""
        self._wants = _END
        while not self.is_complete and self.failure is None:
            await self._wait(_END)
        if self.failure is not None:
            raise self.failure
        parts = self.parts
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives: all that is there, each time. Abandoning it shuts the connection."""
        try:
            while True:
                parts = self.parts
                if parts:
                    data = parts[0] if len(parts) == 1 else b"".join(parts)
                    parts.clear()
                    self._held_bytes = 0
                    yield data
                elif self.failure is not None:
                    raise self.failure
                elif self.is_complete:
                    return
                else:
                    await self._wait(_DATA)
        finally:
            self.close()

    def close(self) -> None:
        """A body not here whole is cut off at once. Idempotent."""
        if not self.is_complete and self.failure is None and not self._is_detached:
            self.failure = StreamInterrupted("the answer was closed before its end")
            self._connection.drop(self)

    def detach(self) -> None:
        """The end is due any moment: the connection may be kept if it comes, and is shut if it does not."""
        if not self.is_complete and self.failure is None:
            self._is_detached = True
            self._connection.linger(self)

    async def _wait(self, wants: int) -> None:
        self._wants = wants
        self._connection.resume(self)
        self._waiter = waiter = self._connection.loop.create_future()
        try:
            await waiter
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            self._waiter = None

    # ── from the connection ───────────────────────────────────────────────────────────────────────────

    def fail(self, error: ProviderError) -> None:
        self.failure = error
        self.notify()

    def notify(self) -> None:
        """Wakes the reader if what it waits for is here."""
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        wants = self._wants
        if (
            self.is_complete
            or self.failure is not None
            or (wants == _DATA and self.parts)
            or (wants == _HEAD and self.status)
        ):
            waiter.set_result(None)

    def begin(self, status: int, head: dict[bytes, bytes]) -> None:
        """The final head has come."""
        encoding = head.get(b"content-encoding", b"")
        if not 200 <= status < 300 or encoding:
            self.failure = self.failure or objection(status, encoding.decode("latin-1"))
            self._inflater = inflater(encoding.decode("latin-1"))
        coding = head.get(b"transfer-encoding")
        if coding is not None and coding.strip().lower() != b"chunked":
            self.failure = MalformedReply("the provider sent a transfer coding nobody asked for")
        self._is_until_eof = coding is None and b"content-length" not in head and status != 204
        self._head = head
        self.status = status

    def receive(self, data: bytes) -> bool:
        """Keeps a piece of the body. False where enough is kept for now."""
        if self._is_detached:
            return True
        if self._inflater is not None:
            try:
                data = self._inflater.feed(data)
            except MalformedReply as exc:
                self.failure = exc
                return True
            if not data:
                return True
        self.parts.append(data)
        self._held_bytes += len(data)
        if self._wants == _END:
            if self._held_bytes > MAX_BODY_BYTES:
                self.failure = body_too_long()
            return True
        return self._held_bytes < HIGH_WATER_BYTES

    def complete(self) -> None:
        """The body's end has come."""
        if self._inflater is not None and not self._inflater.is_whole:
            self.failure = self.failure or MalformedReply("the provider's compressed answer is cut short")
        self.is_complete = self.failure is None

    def touch(self, now: float) -> bool:
        """Notes that something arrived at `now`; whether it is the first of the body."""
        if self._is_detached or not self.status:
            return False
        is_first = self._last_at is None
        self._last_at = now
        return is_first

    def expire_within(self, seconds: float, now: float) -> None:
        self.deadlines = Deadlines(total_s=now - self._started_at + seconds)
        self._last_at = now

    @property
    def ends_with_connection(self) -> bool:
        return self._is_until_eof and self.failure is None

    def due_at(self, *, is_paused: bool) -> float:
        """When this answer is late, as things stand. Nobody is late while we do not read."""
        deadlines = self.deadlines
        total_at = self._started_at + deadlines.total_s
        if is_paused:
            return total_at
        if self._last_at is not None:
            return min(total_at, self._last_at + deadlines.between_tokens_s)
        return min(total_at, self._sent_at + deadlines.first_token_s)

    def lateness(self, now: float) -> ProviderTimeout:
        deadlines = self.deadlines
        if now >= self._started_at + deadlines.total_s:
            return ProviderTimeout(f"the answer was not whole after {deadlines.total_s:g} s", phase="total")
        if self._last_at is not None:
            return ProviderTimeout(
                f"the provider fell silent for {deadlines.between_tokens_s:g} s in the middle of its answer",
                phase="between_tokens",
            )
        return ProviderTimeout(f"the provider sent nothing for {deadlines.first_token_s:g} s", phase="first_token")


class Connection(asyncio.Protocol):
    __slots__ = (
        "_barren_bytes",
        "_fields",
        "_is_interim",
        "_is_paused",
        "_is_usable",
        "_keeps_alive",
        "_owner",
        "_parser",
        "_poll",
        "_reply",
        "_time",
        "_timer",
        "_timer_at",
        "_transport",
        "idle_since",
        "loop",
        "served",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: Owner) -> None:
        self.loop = loop
        self.idle_since = 0.0
        self.served = 0  # calls so far
        self._owner = owner
        self._time = loop.time
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()
        self._parser = HttpResponseParser(self)
        self._fields: list[tuple[bytes, bytes]] = []  # of the head being read
        self._barren_bytes = 0  # received since the last byte of a body: head, framing, trailers
        self._reply: Http1Reply | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._is_interim = False  # a 1xx answer is being read
        self._is_paused = False
        self._is_usable = False
        self._keeps_alive = False

    def send(self, head: bytes, body: bytes, deadlines: Deadlines, started_at: float) -> Http1Reply:
        """Sends one request, of a call that began at `started_at`."""
        assert self._transport is not None
        self.served += 1
        self._barren_bytes = 0
        self._fields = []
        self._reply = reply = Http1Reply(self, deadlines, started_at=started_at, sent_at=self._time())
        self._arm(reply.due_at(is_paused=False))
        if len(body) < _ONE_WRITE_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)
        return reply

    def can_serve(self) -> bool:
        """Whether a call may be sent: open, and the other side has neither closed nor said anything unasked."""
        return self._is_usable and not self._poll.poll(0)

    def drop(self, reply: Http1Reply) -> None:
        """`reply` is of no interest any more."""
        if self._reply is reply:
            self._reply = None
            self.abort()

    def linger(self, reply: Http1Reply) -> None:
        if self._reply is reply:
            self.resume(reply)
            reply.expire_within(_LINGER_S, self._time())
            self._arm(reply.due_at(is_paused=False))

    def resume(self, reply: Http1Reply) -> None:
        if self._is_paused and self._reply is reply and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
            reply.touch(self._time())
            self._arm(reply.due_at(is_paused=False))

    def abort(self) -> None:
        """Shuts the socket now, unread bytes and all."""
        self._is_usable = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()

    # ── deadlines ─────────────────────────────────────────────────────────────────────────────────────

    def _arm(self, due_at: float) -> None:
        if self._timer is not None:
            if self._timer_at <= due_at:
                return  # it fires earlier, and will look again
            self._timer.cancel()
        self._timer_at = due_at
        self._timer = self.loop.call_at(due_at, self._tick)

    def _tick(self) -> None:
        self._timer = None
        reply = self._reply
        if reply is None:
            return
        now, due_at = self._time(), reply.due_at(is_paused=self._is_paused)
        if now < due_at:
            self._arm(due_at)
        else:
            self._fail(reply, reply.lateness(now))

    # ── asyncio.Protocol ──────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self._is_usable = True

    def data_received(self, data: bytes) -> None:
        reply = self._reply
        if reply is None:
            self.abort()  # nobody asked for it
            return
        self._barren_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as exc:
            self._keeps_alive = False
            if not reply.is_complete:
                self._fail(reply, reply.failure or MalformedReply(f"the provider broke HTTP/1.1: {exc}"))
                return
        if reply.failure is not None:
            self._fail(reply, reply.failure)
        elif reply.is_complete:
            self._finish(reply)
        elif self._barren_bytes > MAX_HEAD_BYTES:
            self._fail(reply, head_too_long())
        else:
            if reply.parts and reply.touch(self._time()):
                self._arm(reply.due_at(is_paused=self._is_paused))
            reply.notify()

    def eof_received(self) -> None:
        self._is_usable = False
        reply = self._reply
        if reply is not None and reply.ends_with_connection:
            self._keeps_alive = False
            reply.complete()
            if reply.failure is not None:
                self._fail(reply, reply.failure)
            else:
                self._finish(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_usable = False
        reply = self._reply
        if reply is not None:
            if reply.status:
                self._fail(reply, StreamInterrupted("the provider's connection broke in the middle of its answer"))
            else:
                reply.is_unanswered = not self._barren_bytes
                self._fail(reply, Unreachable("the provider closed the connection before it answered"))
        elif self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._owner.gone(self)
        del self._parser  # it holds the connection as the connection holds it

    # ── httptools ─────────────────────────────────────────────────────────────────────────────────────

    def on_message_begin(self) -> None:
        if self._reply is None or self._reply.is_complete:
            raise ValueError("bytes after the answer's end")  # stops the parser; the answer itself stands

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        reply = self._reply
        assert reply is not None
        status = self._parser.get_status_code()
        fields, self._fields = self._fields, []
        if (
            self._barren_bytes > MAX_HEAD_BYTES
            and sum(len(name) + len(value) for name, value in fields) > MAX_HEAD_BYTES
        ):
            reply.failure = head_too_long()
        if 100 <= status < 200 and status != 101:
            self._is_interim = True
        else:
            reply.begin(status, {name.lower(): value for name, value in fields})

    def on_body(self, data: bytes) -> None:
        self._barren_bytes = 0
        reply = self._reply
        assert reply is not None
        if not reply.receive(data) and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._is_interim:
            self._is_interim = False
            return
        reply = self._reply
        assert reply is not None
        self._keeps_alive = self._parser.should_keep_alive()
        reply.complete()

    # ── ends ──────────────────────────────────────────────────────────────────────────────────────────

    def _finish(self, reply: Http1Reply) -> None:
        """The answer is whole. The connection is kept if the request is out and both sides want to."""
        self._reply = None
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        if (
            self._keeps_alive
            and self._is_usable
            and self._transport is not None
            and not self._transport.get_write_buffer_size()
        ):
            self.idle_since = self._time()
            self._owner.idle(self)
        else:
            self.abort()
        reply.notify()

    def _fail(self, reply: Http1Reply, error: ProviderError) -> None:
        self._reply = None
        self.abort()
        reply.fail(error)
