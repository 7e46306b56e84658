"""HTTP/1.1 on one connection, strict: bounded heads, time limits per phase, shaped parser errors, real leaving.

Parsing is httptools' alone (llhttp). What is ours: a request's head must arrive within `HEAD_S` and `MAX_HEAD_BYTES`, a
body must make progress every `BODY_S`, an idle connection lives `IDLE_S`, an answer that nobody reads is dropped after
`STALL_S`; one sweep a second looks at all connections, so that waiting costs no timer each. A caller that leaves
cancels the work done for it at once. What the parser refuses is answered like any other bad request, and the connection
is closed. uvicorn's server runs it: sockets, signals, drain.
"""

import asyncio
import resource
from collections import deque
from collections.abc import Iterable
from typing import cast
from urllib.parse import unquote

import httptools
import orjson
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from polyroute.server.cycle import App, Cycle, Message
from polyroute.server.headers import Headers
from polyroute.server.overload import descriptors
from polyroute.server.overload.crowd import Crowd
from polyroute.server.overload.entrance import Application, Entrance, Guest
from polyroute.server.overload.refusals import NO_ROOM

HEAD_S = 10.0
BODY_S = 30.0
IDLE_S = 75.0
STALL_S = 60.0
MAX_HEAD_BYTES = 64 * 1024
MAX_PIPELINED = 16
MAX_CONNECTIONS = 10_000  # at once, where descriptors allow it; about 20 KB each
SWEEP_S = 1.0

LINGER_S = 2.0  # so long what follows a refusal is read, so that its sender gets to read that

_IDLE, _HEAD, _BODY, _ANSWERING, _ENDING = range(5)
_LIMIT_S = {_IDLE: IDLE_S, _HEAD: HEAD_S, _BODY: BODY_S, _ENDING: LINGER_S}


class Connections(ServerState):
    """uvicorn's own record of what is open, and the entrance to it."""

    def __init__(self, app: Application, crowd: Crowd) -> None:
        super().__init__()
        self.is_leaving = False  # every answer is the last of its connection
        self.most = descriptors.connections(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        self.entrance = Entrance(app, crowd)
        self._served = 0
        crowd.under_way = self.tasks.__len__
        crowd.served = lambda: self._served

    def ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self._served += 1
        if self.entrance.crowd.waiting:
            self.entrance.crowd.call()


class StrictProtocol(asyncio.Protocol):
    """One connection. The constructor's signature is the one uvicorn calls."""

    def __init__(
        self,
        config: Config,
        server_state: Connections,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._app: App = config.loaded_app
        self._state = server_state
        self._loop = _loop or asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._flow: FlowControl
        self._peer: tuple[str, int] | None = None
        self._cycle: Cycle | None = None  # the newest
        self._waiting: deque[Cycle] = deque()  # pipelined behind the one that is answered
        self._entrance = server_state.entrance
        self._guest: Guest | None = None  # the one that is to be answered waits to be let in
        self._task: asyncio.Task[None] | None = None
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._expects_continue = False
        self._hosts = 0
        self._unread_bytes = 0  # since the last end of a head or piece of content: heads, trailers, chunks' own lines
        self._phase = _IDLE
        self._since_s = self._loop.time()
        self._stalled_s = self._since_s

    # ── the connection ────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class does not derive from it
        self._flow = FlowControl(self._transport)
        if len(self._state.connections) >= min(MAX_CONNECTIONS, self._state.most):
            self._refuse(503, "Service Unavailable", "too many connections are open: try again later", "overloaded")
            return
        self._state.connections.add(self)  # type: ignore[arg-type]  # uvicorn asks for `shutdown` only
        self._peer = transport.get_extra_info("peername")

    def connection_lost(self, exc: Exception | None) -> None:
        self._state.connections.discard(self)
        self._flow.resume_writing()
        cycle = self._cycle
        if self._guest is not None:
            self._entrance.crowd.leave(self._guest)
            self._guest.cycle.release()
        for waiting in self._waiting:
            waiting.release()
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
            if self._task is not None:
                self._task.cancel()
        # Parser and connection hold each other; without this each lost one waits for the collector.
        del self._parser
        self._task = None

    def eof_received(self) -> None:
        """A caller that closes its side has left; asyncio closes ours."""

    def pause_writing(self) -> None:
        self._flow.pause_writing()
        self._stalled_s = self._loop.time()

    def resume_writing(self) -> None:
        self._flow.resume_writing()

    def shutdown(self) -> None:
        """The server stops: the answer under way is finished, and the connection is not kept."""
        if self._cycle is None or self._cycle.response_complete:
            self._transport.close()
        else:
            self._cycle.keep_alive = False

    def data_received(self, data: bytes) -> None:
        if self._phase == _IDLE:
            self._enter(_HEAD)
        self._unread_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline(data[offer.args[0] :])
        except httptools.HttpParserError:
            self._refuse(400, "Bad Request", "the request is not valid HTTP/1.1")
        else:
            if self._unread_bytes > MAX_HEAD_BYTES:
                self._refuse_head()

    # ── the parser's callbacks ────────────────────────────────────────────────────────────────────────

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = []
        self._hosts = 0
        self._expects_continue = False

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase == _BODY:
            return  # a trailer: what comes after the content must not pass for a header (RFC 9110, 6.5.1)
        name = name.lower()
        if name == b"host":
            self._hosts += 1
        elif name == b"expect" and value.lower() == b"100-continue":
            self._expects_continue = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._unread_bytes > MAX_HEAD_BYTES and self._head_size() > MAX_HEAD_BYTES:
            self._refuse_head()
            return
        self._unread_bytes = 0
        if self._parser.should_upgrade():
            return  # the parser stops here: `_decline`
        version = self._parser.get_http_version()
        if version != "1.0" and (version != "1.1" or self._hosts != 1):  # RFC 9112, 3.2
            self._refuse(400, "Bad Request", "the request must be HTTP/1.1 with exactly one `host` header")
            return
        parsed = httptools.parse_url(self._url)
        path = parsed.path.decode("ascii")
        scope: Message = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "method": self._parser.get_method().decode("ascii"),
            "scheme": "http",
            "path": unquote(path) if "%" in path else path,
            "raw_path": parsed.path,
            "query_string": parsed.query or b"",
            "headers": self._headers,
            "client": self._peer,
        }
        before, self._cycle = (
            self._cycle,
            Cycle(
                scope,
                self._transport,
                self._flow,
                continues=self._expects_continue,
                keep_alive=version != "1.0" and self._parser.should_keep_alive() and not self._state.is_leaving,
                on_response=self._answered,
                crowd=self._entrance.crowd,
            ),
        )
        self._enter(_BODY)
        if before is None or before.response_complete:
            self._come(self._cycle)
        else:
            self._flow.pause_reading()
            self._waiting.append(self._cycle)
            if len(self._waiting) > MAX_PIPELINED:
                self._transport.close()

    def on_body(self, body: bytes) -> None:
        self._unread_bytes = 0
        cycle = self._cycle
        if cycle is None or cycle.response_complete or self._transport.is_closing():
            return
        self._since_s = self._loop.time()
        if cycle.is_deaf:
            return
        if cycle.take(body) and self._entrance.fill():
            self._overflow(cycle)
        elif len(cycle.body) > HIGH_WATER_LIMIT:
            self._flow.pause_reading()

    def on_message_complete(self) -> None:
        self._unread_bytes = 0
        if self._transport.is_closing() or self._parser.should_upgrade():
            return
        cycle = self._cycle
        if cycle is None or cycle.response_complete:
            if self._phase == _ENDING:
                self._transport.close()
            else:
                self._enter(_IDLE)
            return
        cycle.more_body = False
        cycle.message_event.set()
        self._enter(_ANSWERING)

    # ── the answer ────────────────────────────────────────────────────────────────────────────────────

    def _come(self, cycle: Cycle) -> None:
        if self._entrance.is_open:
            self.begin(cycle)
        else:
            self._guest = self._entrance.come(self, cycle)

    def begin(self, cycle: Cycle) -> None:
        self._guest = None
        self._task = self._loop.create_task(cycle.run(self._app))
        self._state.tasks.add(self._task)
        self._task.add_done_callback(self._state.ended)

    def dismiss(self, cycle: Cycle, status: int, headers: Headers, body: bytes, *, keep: bool) -> None:
        """Answers a request that was not begun."""
        self._guest = None
        cycle.response_started = cycle.response_complete = True
        cycle.release()
        keep = keep and cycle.keep_alive
        lines = [STATUS_LINE[status], b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body)]
        lines += [b"%b: %b\r\n" % header for header in headers]
        self._transport.write(b"".join((*lines, b"\r\n" if keep else b"connection: close\r\n\r\n", body)))
        if keep:
            self._answered()
            return
        self._flow.resume_reading()
        if cycle.more_body and not self._expects_continue:
            self._enter(_ENDING)
        else:
            self._transport.close()

    def _overflow(self, cycle: Cycle) -> None:
        """Its body is one too many."""
        cycle.release()
        if self._guest is not None and self._guest.cycle is cycle:
            self._entrance.crowd.leave(self._guest)
            self._guest.refuse(NO_ROOM)
        else:
            cycle.overflow()

    def _answered(self) -> None:
        self._state.total_requests += 1
        if self._transport.is_closing():
            return
        self._flow.resume_reading()
        if self._waiting:
            self._come(self._waiting.popleft())
        elif self._phase == _ANSWERING:
            self._enter(_IDLE)

    # ── time ──────────────────────────────────────────────────────────────────────────────────────────

    def overdue(self, now_s: float) -> bool:
        if self._flow.write_paused:
            return now_s - self._stalled_s > STALL_S
        limit_s = _LIMIT_S.get(self._phase)
        if limit_s is None or now_s - self._since_s <= limit_s:
            return False
        # A paused body is our own doing: the handler has not asked for more.
        return self._phase != _BODY or not self._flow.read_paused

    def end_overdue(self) -> None:
        cycle = self._cycle
        if self._flow.write_paused or self._transport.is_closing() or self._phase == _ENDING:
            self._transport.abort()  # what is still to be written is not read
        elif self._phase == _IDLE:
            self._transport.close()
        elif self._phase == _BODY and cycle is not None and cycle.response_started:
            self._transport.abort()
        else:
            self._refuse(408, "Request Timeout", "the request did not arrive in time")

    def _enter(self, phase: int) -> None:
        self._phase = phase
        self._since_s = self._loop.time()

    def _decline(self, rest: bytes) -> None:
        """An offered upgrade is declined by answering in HTTP/1.1 (RFC 9110, 7.8); the parser starts anew."""
        method = self._parser.get_method()
        if method == b"CONNECT":
            self._refuse(400, "Bad Request", "this is no proxy: CONNECT is not possible")
            return
        head = [b"%b %b HTTP/1.1" % (method, self._url)]
        head += [b"%b: %b" % (name, value) for name, value in self._headers if name != b"upgrade"]
        self._parser = httptools.HttpRequestParser(self)
        self.data_received(b"\r\n".join([*head, b"", rest]))

    def _head_size(self) -> int:
        return len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._headers)

    def _refuse_head(self) -> None:
        self._refuse(431, "Request Header Fields Too Large", f"the head is over {MAX_HEAD_BYTES} bytes")

    def _refuse(self, status: int, phrase: str, message: str, code: str = "malformed_http") -> None:
        if self._transport.is_closing():
            return
        if self._cycle is not None and self._cycle.response_started and not self._cycle.response_complete:
            self._transport.abort()  # in the middle of an answer nothing else can be said
            return
        kind = "invalid_request_error" if status < 500 else "overloaded_error"
        body = orjson.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})
        self._transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (status, phrase.encode(), len(body), body)
        )
        self._transport.close()


async def sweep(connections: Iterable[object]) -> None:
    """Ends overdue connections until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(SWEEP_S)
        now_s = loop.time()
        for connection in list(connections):
            if isinstance(connection, StrictProtocol) and connection.overdue(now_s):
                connection.end_overdue()
