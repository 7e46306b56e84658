"""uvicorn's HTTP/1.1 protocol made strict: bounded heads, time limits per phase, shaped parser errors, real leaving.

- A request's head must arrive within `HEAD_S` and `MAX_HEAD_BYTES`; a body must make progress every `BODY_S`; an idle
  connection lives `IDLE_S`. One sweep a second looks at all connections, so that waiting costs no timer each.
- A caller that leaves cancels the work done for it at once.
- What the parser refuses is answered like any other bad request, and the connection is closed.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEAD_S = 10.0
BODY_S = 30.0
IDLE_S = 75.0
MAX_HEAD_BYTES = 64 * 1024
SWEEP_S = 1.0

_IDLE, _HEAD, _BODY, _ANSWERING = range(4)
_LIMIT_S = {_IDLE: IDLE_S, _HEAD: HEAD_S, _BODY: BODY_S}


class StrictProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # uvicorn's own signature
        super().__init__(*args, **kwargs)
        self._phase = _IDLE
        self._since_s = self.loop.time()
        self._head_bytes = 0
        self._task: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        if self._phase <= _HEAD:
            if self._phase == _IDLE:
                self._enter(_HEAD)
                self._head_bytes = 0
            self._head_bytes += min(len(data), MAX_HEAD_BYTES + 1)
            if self._head_bytes > MAX_HEAD_BYTES and b"\r\n\r\n" not in data[:MAX_HEAD_BYTES]:
                self._refuse(431, "Request Header Fields Too Large", f"the head is over {MAX_HEAD_BYTES} bytes")
                return
        super().data_received(data)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._enter(_BODY)

    def on_body(self, body: bytes) -> None:
        self._since_s = self.loop.time()
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self._phase == _BODY:
            self._enter(_ANSWERING)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.pipeline:
            self._enter(_IDLE)

    def connection_lost(self, exc: Exception | None) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        answering = cycle is not None and not cycle.response_complete
        super().connection_lost(exc)
        if answering and self._task is not None:
            self._task.cancel()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "Bad Request", "the request is not valid HTTP/1.1")

    def overdue(self, now_s: float) -> bool:
        limit_s = _LIMIT_S.get(self._phase)
        if limit_s is None or now_s - self._since_s <= limit_s:
            return False
        # A paused body is our own doing: the handler has not asked for more.
        return self._phase != _BODY or not self.flow.read_paused

    def end_overdue(self) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        if self._phase == _IDLE or self.transport.is_closing():
            self.transport.close()
        elif self._phase == _BODY and cycle is not None and cycle.response_started:
            self.transport.abort()
        else:
            self._refuse(408, "Request Timeout", "the request did not arrive in time")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._task = self.loop.create_task(cycle.run_asgi(app))
        self._task.add_done_callback(self.tasks.discard)
        self.tasks.add(self._task)

    def _enter(self, phase: int) -> None:
        self._phase = phase
        self._since_s = self.loop.time()

    def _refuse(self, status: int, phrase: str, message: str) -> None:
        if self.transport.is_closing():
            return
        body = orjson.dumps(
            {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": "malformed_http"}}
        )
        self.transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
            % (status, phrase.encode(), len(body), body)
        )
        self.transport.close()


async def sweep(connections: Iterable[object]) -> None:
    """Ends overdue connections until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(SWEEP_S)
        now_s = loop.time()
        for connection in list(connections):
            if isinstance(connection, StrictProtocol) and connection.overdue(now_s):
                connection.end_overdue()
