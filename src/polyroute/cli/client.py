"""A small client of a gateway over HTTP, for the command line: no SDK, our own transport."""

from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import aclosing
from typing import Any

import msgspec
from msgspec import Struct

from polyroute.dialects.sse import EventSplitter, parse_event
from polyroute.errors import PolyrouteError, ProviderError
from polyroute.ports import Transport, UpstreamReply
from polyroute.types.cards import Deadlines

_DEADLINES = Deadlines(connect_s=5.0, first_token_s=600.0, between_tokens_s=600.0, total_s=3600.0)
_DONE = b"[DONE]"


class Refused(PolyrouteError):
    """The gateway's own word that it does not answer this request."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class Answer(Struct, frozen=True, kw_only=True):
    """What a gateway answered, and how it came about."""

    body: dict[str, Any]
    report: Mapping[str, str]  # the headers `x-polyroute-*` by their short names: `cost_usd`, `request_id`, …

    @property
    def text(self) -> str:
        choices = self.body.get("choices") or [{}]
        return choices[0].get("message", {}).get("content") or ""


class Client:
    def __init__(self, url: str, key: str | None, transport: Transport) -> None:
        """`url` with or without `/v1`. The transport is the caller's to close."""
        self._root = url.rstrip("/").removesuffix("/v1")
        self._headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
        self._transport = transport

    async def post(self, path: str, body: Mapping[str, object]) -> Answer:
        """Raises PolyrouteError with the server's own message."""
        reply = await self._send(path, body)
        try:
            return Answer(body=msgspec.json.decode(await reply.read()), report=_told_by(reply.headers))
        finally:
            reply.close()

    async def get(self, path: str) -> dict[str, Any]:
        """Raises PolyrouteError with the server's own message."""
        return await self._read(self._transport.get(f"{self._root}{path}", self._headers, _DEADLINES))

    async def delete(self, path: str) -> dict[str, Any]:
        """As `get`."""
        return await self._read(self._transport.delete(f"{self._root}{path}", self._headers, _DEADLINES))

    async def stream(self, body: Mapping[str, object], report: dict[str, Any]) -> AsyncGenerator[str, None]:
        """The text of a chat completion as it arrives; what is known at its end is put into `report`."""
        reply = await self._send("/v1/chat/completions", {**body, "stream": True, "stream_options": _USAGE})
        events = EventSplitter()
        report.update(_told_by(reply.headers))
        try:
            async with aclosing(reply.chunks()) as chunks:
                async for data in chunks:
                    for event in events.feed(data):
                        _, told = parse_event(event)
                        if told and told != _DONE:
                            for text in _read(msgspec.json.decode(told), report):
                                yield text
        finally:
            reply.close()

    async def _send(self, path: str, body: Mapping[str, object]) -> UpstreamReply:
        data = msgspec.json.encode(body)
        return await self._good(self._transport.post(f"{self._root}{path}", data, self._headers, _DEADLINES))

    async def _read(self, call: Awaitable[UpstreamReply]) -> dict[str, Any]:
        reply = await self._good(call)
        try:
            found: dict[str, Any] = msgspec.json.decode(await reply.read())
            return found
        finally:
            reply.close()

    async def _good(self, call: Awaitable[UpstreamReply]) -> UpstreamReply:
        try:
            reply = await call
        except ProviderError as exc:
            raise PolyrouteError(f"no answer from {self._root}: {exc.message}; is a gateway serving there?") from exc
        except ValueError as exc:
            raise PolyrouteError(f"`--url {self._root}` cannot be called: {exc}") from exc
        if reply.status >= 400:
            try:
                raise Refused(f"the gateway says {reply.status}: {_message(await reply.read())}", status=reply.status)
            finally:
                reply.close()
        return reply


_USAGE = {"include_usage": True}


def _read(chunk: dict[str, Any], report: dict[str, Any]) -> list[str]:
    if error := chunk.get("error"):
        raise PolyrouteError(f"the stream broke: {error.get('message')}")
    report.update(chunk.get("polyroute") or {})
    pieces = (choice.get("delta", {}).get("content") for choice in chunk.get("choices", ()))
    return [piece for piece in pieces if piece]


def _told_by(headers: Mapping[str, str]) -> dict[str, str]:
    prefix = "x-polyroute-"
    return {
        name.removeprefix(prefix).replace("-", "_"): value for name, value in headers.items() if name.startswith(prefix)
    }


def _message(body: bytes) -> str:
    try:
        error = msgspec.json.decode(body)["error"]
        return str(error["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return body[:200].decode("utf-8", "replace")
