"""One request and its response on a connection: ASGI's `receive` and `send`, written for speed.

Header and first body leave in one write. Header names and values come from our own code and are printable by
construction (`headers.py`), so that nothing is searched for in them here.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from polyroute.server.overload.crowd import Crowd
from polyroute.server.overload.refusals import NO_ROOM, error_of

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_DISCONNECT = {"type": "http.disconnect"}

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


class Cycle:
    """Owned by its connection (`protocol.py`), which feeds `body` and sets `message_event`."""

    __slots__ = (
        "_continues",
        "_crowd",
        "_head",
        "_is_chunked",
        "_on_response",
        "_overflows",
        "body",
        "disconnected",
        "flow",
        "held_bytes",
        "is_deaf",
        "keep_alive",
        "message_event",
        "more_body",
        "response_complete",
        "response_started",
        "scope",
        "transport",
    )

    def __init__(
        self,
        scope: Message,
        transport: asyncio.Transport,
        flow: FlowControl,
        *,
        continues: bool,
        keep_alive: bool,
        on_response: Callable[[], None],
        crowd: Crowd,
    ) -> None:
        """`continues`: the caller waits for "100 Continue" before it sends the body."""
        self.scope = scope
        self.transport = transport
        self.flow = flow
        self.keep_alive = keep_alive
        self.message_event = asyncio.Event()
        scope["polyroute.write_chunk"] = self.write_chunk  # one coroutine fewer for each chunk of a stream
        self.body = bytearray()
        self.held_bytes = 0  # of the body, whether or not the application has taken them
        self.is_deaf = False  # more of the body is not kept
        self.more_body = True
        self.disconnected = False
        self.response_started = False
        self.response_complete = False
        self._continues = continues
        self._on_response = on_response
        self._head = b""
        self._is_chunked = False
        self._crowd = crowd
        self._overflows = False

    async def run(self, app: App) -> None:
        """The application answers every error itself; what it leaves unanswered closes the connection."""
        try:
            await app(self.scope, self.receive, self.send)
        finally:
            self.release()
            if not self.response_complete:
                self.transport.close()
            self._on_response = _nothing
            del self.scope["polyroute.write_chunk"]  # it holds this, which holds it

    def take(self, body: bytes) -> bool:
        """A further piece of the body. Whether much is held of all bodies together."""
        size, crowd = len(body), self._crowd
        self.held_bytes += size
        crowd.held_bytes += size
        self.body += body
        self.message_event.set()
        return crowd.held_bytes > crowd.ample_bytes

    def release(self) -> None:
        """Nobody needs the body any more. To say it twice is to say it once."""
        self._crowd.held_bytes -= self.held_bytes
        self.held_bytes = 0

    def overflow(self) -> None:
        """There is no room for this body; the application is told when it asks for more."""
        self.is_deaf = self._overflows = True
        self.body = bytearray()
        self.message_event.set()

    async def receive(self) -> Message:
        if self._continues and not self.transport.is_closing():
            self.transport.write(_CONTINUE)
            self._continues = False
        is_waiting = self.more_body and not self.body and not self.disconnected and not self.response_complete
        if is_waiting and not self._overflows:
            self.flow.resume_reading()
            self.message_event.clear()
            await self.message_event.wait()
        if self._overflows:
            self._overflows = False
            raise error_of(NO_ROOM)
        if self.disconnected or self.response_complete:
            return _DISCONNECT
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send(self, message: Message) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected or self.response_complete:
            return
        if not self.response_started:
            self._start(message["status"], message["headers"])
            return
        body: bytes = message.get("body", b"")
        is_last = not message.get("more_body", False)
        if self._is_chunked:
            end = b"0\r\n\r\n" if is_last else b""
            body = b"%x\r\n%b\r\n%b" % (len(body), body, end) if body else end
        head, self._head = self._head, b""
        if head or body:
            self.transport.write(head + body)
        if is_last:
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self._on_response()

    def write_chunk(self, data: bytes) -> bool:
        """A further piece of a started, chunked answer, at once. False where it has to go through `send`."""
        if self._head or not self._is_chunked or self.flow.write_paused or self.disconnected or self.response_complete:
            return False
        self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        return True

    def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """The head waits for the first of the body; a stream's head does not wait long.

        HTTP/1.0 knows no chunks: there a stream ends with its connection (RFC 9112, 7.1).
        """
        self.response_started = True
        self._continues = False
        self._is_chunked = self.scope["http_version"] != "1.0"
        lines = [STATUS_LINE[status]]
        for name, value in headers:
            if name == b"content-length":
                self._is_chunked = False
            elif name == b"connection" and value == b"close":
                self.keep_alive = False
                continue
            lines += (name, b": ", value, b"\r\n")
        if self._is_chunked:
            lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        self._head = b"".join(lines)


def _nothing() -> None:
    """Once the handler has returned there is nobody to tell."""
