"""One HTTP request and its answer, over raw ASGI."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import cached_property
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from polyroute.errors import InvalidRequest, TooLarge
from polyroute.server import strict_json
from polyroute.server.headers import Headers
from polyroute.types.access import Caller

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# How much of an unwanted body is still read, and how long, so that its sender gets to read why it is unwanted.
LINGER_S = 5.0
LINGER_BYTES = 256_000_000

JSON = (b"content-type", b"application/json")


class CallerLeft(Exception):
    """The connection closed before the request was whole; nobody is left to answer."""


class Exchange:
    """`caller` is set by the front, after authentication and before any handler runs."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, arrived_s: float, request_id: str) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._write_chunk: Callable[[bytes], bool] = scope.get("polyroute.write_chunk", _not_at_once)
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.arrived_s = arrived_s
        self.request_id = request_id
        self.started = False
        self.is_broken = False  # its stream ended in an error event
        self.body_read = self.method not in ("POST", "PUT", "PATCH")
        self.caller = Caller()
        self.variables: Mapping[str, str] = {}
        self.is_leaving = False  # the server is about to end

    @cached_property
    def headers(self) -> dict[str, str]:
        """Lower-case names; the last of several equal ones wins."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self._scope["headers"]}

    @cached_property
    def query(self) -> dict[str, str]:
        """The last of several equal names wins."""
        return dict(parse_qsl(self.query_string))

    @property
    def query_string(self) -> str:
        return str(self._scope.get("query_string", b"").decode("latin-1"))

    @property
    def peer(self) -> str | None:
        client = self._scope.get("client")
        return client[0] if client else None

    @property
    def client_request_id(self) -> str | None:
        """The caller's own id, where it can stand in a header of the answer."""
        given = self.headers.get("x-request-id")
        return given[:128] if given and given.isascii() and given.isprintable() else None

    async def body(self, limit_bytes: int) -> bytes:
        """The whole body. Raises TooLarge as soon as it is over the limit."""
        declared = self.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit_bytes:
            raise _too_large(limit_bytes)
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise CallerLeft
        whole: bytes = message.get("body", b"")
        if not message.get("more_body") and len(whole) <= limit_bytes:
            self.body_read = True
            return whole
        parts, size = [whole], len(whole)
        while message.get("more_body") and size <= limit_bytes:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise CallerLeft
            part = message.get("body", b"")
            parts.append(part)
            size += len(part)
        if size > limit_bytes:
            raise _too_large(limit_bytes)
        self.body_read = True
        return b"".join(parts)

    async def json(self, limit_bytes: int) -> dict[str, object]:
        """The body as a strictly read JSON object. Raises InvalidRequest."""
        encoding = self.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise InvalidRequest(f"content-encoding `{encoding[:40]}` is not taken: send the body as it is")
        return strict_json.loads(await self.body(limit_bytes))

    async def reply(self, status: int, body: bytes, headers: Headers, kind: tuple[bytes, bytes] = JSON) -> None:
        self.started = True
        length = (b"content-length", str(len(body)).encode())
        await self._send({"type": "http.response.start", "status": status, "headers": [kind, length, *headers]})
        told = b"" if self.method == "HEAD" else body
        if self.body_read:
            await self._send({"type": "http.response.body", "body": told})
            return
        await self._send({"type": "http.response.body", "body": told, "more_body": True})
        await self._discard_rest()
        await self._send({"type": "http.response.body"})

    @property
    def sender(self) -> Send:
        """What takes the parts of the answer."""
        return self._send

    def resent(self, body: bytes, send: Send) -> "Exchange":
        """The same request with its body read already, and its answer going through `send`."""

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        scope = {name: value for name, value in self._scope.items() if name != "polyroute.write_chunk"}
        again = Exchange(scope, receive, send, arrived_s=self.arrived_s, request_id=self.request_id)
        again.caller, again.variables = self.caller, self.variables
        return again

    async def repeat(self, status: int, headers: Headers, body: bytes) -> None:
        """An answer of before, headers and all."""
        self.started = True
        length = (b"content-length", str(len(body)).encode())
        await self._send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
        await self._send({"type": "http.response.body", "body": body})

    async def start_events(self, media_type: str, headers: Headers) -> None:
        self.started = True
        fixed = [(b"content-type", media_type.encode()), (b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
        await self._send({"type": "http.response.start", "status": 200, "headers": [*fixed, *headers]})

    async def send_events(self, data: bytes) -> None:
        if self._write_chunk(data):
            return
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    def interject(self, data: bytes) -> bool:
        """Writes `data` between two events, at once; False where the caller is not ready for it."""
        return self._write_chunk(data)

    async def end_events(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data})

    async def _discard_rest(self) -> None:
        """A connection that is closed on unread bytes is reset, and the answer is lost with it."""
        if "expect" in self.headers:
            return  # it was never asked for the body
        left = LINGER_BYTES
        try:
            async with asyncio.timeout(LINGER_S):
                while left > 0 and (message := await self._receive()).get("more_body"):
                    left -= len(message["body"])
        except TimeoutError:
            return


def _not_at_once(data: bytes) -> bool:
    """A server that is not ours takes chunks through `send` alone."""
    return False


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(f"the body is over {limit_bytes / 1_000_000:g} MB (server.max_body_mb)")
