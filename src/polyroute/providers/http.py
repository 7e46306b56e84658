"""A company's API over HTTP: renders a request, sends it, reads the answer, and names each failure with its Remedy.

Address, credentials and fixed headers come from the document alone. A request reaches them nowhere; the only headers
it may bring are those its dialect lets through, and they never replace ours. What the wire looks like is the dialect's
business, how bytes travel is the transport's, what to do about a failure is the engine's.
"""

import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Protocol

from msgspec.structs import replace

from polyroute import __version__
from polyroute.dialects.emulation import emulated
from polyroute.dialects.json_text import json_text
from polyroute.errors import MalformedReply, ProviderError
from polyroute.ports import Dialect, Recall, Transport, UpstreamReply, WireRequest
from polyroute.providers.quota import quota
from polyroute.providers.retry_after import retry_after_s
from polyroute.providers.transport.address import escape, parse_url
from polyroute.types.cards import Deadlines, Deployment
from polyroute.types.content import Opaque, Part, Text
from polyroute.types.quota import Quota
from polyroute.types.request import Request, without_stream
from polyroute.types.response import Chunk, Ended, PartAdded, Reply, Started, StopReason, WireBytes
from polyroute.types.trace import Trace

_MAX_ERROR_BYTES = 256 * 1024  # of an error's body; the rest says nothing more
_MAX_BARREN_BYTES = 16 * 1024 * 1024  # of a stream, between two chunks: as much as its longest event
_SECRET_FROM = 8  # characters; anything shorter would scrub ordinary words
_OURS_ALONE = frozenset({  # headers that belong to the transport
    "accept-encoding", "connection", "content-encoding", "content-length", "expect", "host", "keep-alive", "te",
    "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip


class Secret(Protocol):
    """What the document gives in place of a value that must not be shown."""

    def reveal(self) -> str: ...


class SealedHeaders(dict[str, str]):
    """Headers with credentials among them: they are sent, never shown."""

    def __repr__(self) -> str:
        return f"<{len(self)} headers>"


class HttpProvider:
    """Fulfils the port `Provider` for one base address, in every dialect it is called in."""

    def __init__(
        self,
        *,
        dialects: Sequence[Dialect],
        transport: Transport,
        base_url: str,
        credentials: Mapping[str, str],
        headers: Mapping[str, Secret],
        roots: Mapping[str, str] | None = None,
        utc_s: Callable[[], float] = time.time,
    ) -> None:
        """A request goes out in the dialect it came in, where that is one of `dialects`; else in the first of its kind.

        A deployment with the quirk `no_` and a dialect's name is never called in that one. `base_url` may hold a query
        and `{model}`, for which the deployment's upstream model is put; `roots` are the base addresses, without a
        query, of endpoints that live elsewhere, by path.

        Raises ValueError, with the reason, for an address or a header that cannot be sent.
        """
        root, _, query = base_url.partition("?")
        self._root = root.rstrip("/")
        self._query = f"?{query}" if query else ""
        self._roots = roots or {}
        self._is_per_model = any("{model}" in address for address in (base_url, *self._roots.values()))
        self._host = parse_url(base_url.replace("{model}", "model")).authority
        given = {name.lower(): value.reveal() for name, value in headers.items()}
        if refused := _OURS_ALONE & given.keys():
            raise ValueError(f"the header `{min(refused)}` is set by the transport and cannot be given")
        fixed = {"content-type": "application/json", "user-agent": f"polyroute/{__version__}", **credentials, **given}
        self._whole_headers = SealedHeaders({"accept": "application/json", **fixed})
        self._stream_headers = SealedHeaders({"accept": dialects[0].stream_type.partition(";")[0], **fixed})
        secrets = [value.removeprefix("Bearer ") for value in (*credentials.values(), *given.values())]
        self._secrets = tuple(value.encode() for value in secrets if len(value) >= _SECRET_FROM)
        self._dialects = tuple(dialects)
        self._by_name = {dialect.name: dialect for dialect in dialects}
        self._by_operation = {dialect.operation: dialect for dialect in reversed(dialects)}
        self._transport = transport
        self._utc_s = utc_s
        self.on_quota: Callable[[str, Quota], None] | None = None  # told what answers say, by deployment

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self._host}>"

    def obstacles(self, request: Request, target: Deployment) -> tuple[str, ...]:
        dialect = self._spoken(request, target)
        if dialect is None:
            return (f"it takes no {request.operation} requests",)
        put = emulated(request, target, dialect)
        return dialect.obstacles(request) if put is None else (*put.obstacles, *dialect.obstacles(put.request))

    async def complete(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> Reply:
        dialect = self._dialect_for(request, target)
        if request.stream:
            request = without_stream(request)
        if (put := emulated(request, target, dialect)) is not None:
            request = put.request
        wire = dialect.render_request(request, target, max_output_tokens=max_output_tokens)
        reply = await self._send(dialect, wire, target, deadlines, _traced(self._whole_headers, request.trace))
        try:
            body = await reply.read()
        finally:
            reply.close()
        if request.wire is not None and request.wire.dialect == dialect.name:
            seen = dialect.skim_response(body)
            return replace(
                seen,
                wire=body,
                dropped=wire.dropped,
                model=seen.model or target.upstream_model,
                media_type=reply.headers.get("content-type", seen.media_type),
            )
        response = dialect.parse_response(body)
        if not response.model:
            response = replace(response, model=target.upstream_model)
        dropped = wire.dropped
        if put is not None:
            response, dropped = put.whole(response), (*put.dropped, *dropped)
        for choice in response.choices:
            _check_parts(choice.parts)
        return Reply(
            usage=response.usage,
            model=response.model,
            stop=response.choices[0].stop if response.choices else StopReason.UNKNOWN,
            response=response,
            dropped=dropped,
        )

    async def stream(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> AsyncGenerator[Chunk, None]:
        dialect = self._dialect_for(request, target)
        if not request.stream:
            request = _with_stream(request)
        put = emulated(request, target, dialect)
        request, returning = (request, None) if put is None else (put.request, put.open())
        wire = dialect.render_request(request, target, max_output_tokens=max_output_tokens)
        is_same = request.wire is not None and request.wire.dialect == dialect.name
        if request.wire is not None and request.wire.is_opened and dialect.operation == "chat":
            is_same = False
        reader = dialect.open_reader(same_dialect=is_same)
        reply = await self._send(dialect, wire, target, deadlines, _traced(self._stream_headers, request.trace))
        body, is_first = reply.chunks(), True
        untold, barren_bytes = wire.dropped if put is None else (*put.dropped, *wire.dropped), 0
        is_chat = dialect.operation == "chat"  # other answers may be no events, or whole where a stream was asked for
        try:
            if not dialect.stream_type:
                media_type = reply.headers.get("content-type", "application/octet-stream")
                yield Started(id="", model=target.upstream_model, dropped=untold, media_type=media_type)
                untold = ()
            async for data in body:
                if is_first:
                    is_first = not (begins := data.lstrip()[:1])
                    if is_chat and begins in (b"{", b"[", b"<"):  # no event begins so
                        raise await self._not_a_stream(dialect, data, body)
                chunks = reader.feed(data)
                if not chunks:
                    barren_bytes += len(data)
                    if barren_bytes > _MAX_BARREN_BYTES:
                        raise MalformedReply(f"the provider sent {_MAX_BARREN_BYTES} bytes that say nothing")
                    continue
                barren_bytes = 0
                for chunk in chunks if returning is None else returning.take(chunks):
                    if type(chunk) is Ended:
                        reply.detach()
                        yield _named(chunk, target)
                        return
                    if type(chunk) is PartAdded:
                        _check_parts((chunk.content,))
                    if untold and isinstance(chunk, Started | WireBytes):
                        chunk, untold = replace(chunk, dropped=untold), ()
                    yield _named(chunk, target)
            last = reader.close()
            for chunk in last if returning is None else returning.take(last):
                if untold and isinstance(chunk, Started | WireBytes):
                    chunk, untold = replace(chunk, dropped=untold), ()
                yield _named(chunk, target)
        finally:
            reply.close()
            await body.aclose()

    async def recall(self, act: Recall, door: str, deadlines: Deadlines) -> bytes:
        """Fulfils the port `KeepsAnswers`, as `follow` does."""
        reply = await self._recalled(act, door, self._whole_headers, deadlines)
        try:
            return await reply.read()
        finally:
            reply.close()

    async def follow(self, act: Recall, door: str, deadlines: Deadlines) -> AsyncGenerator[Chunk, None]:
        reader = self._by_name[door].open_reader(same_dialect=True)
        reply = await self._recalled(act, door, self._stream_headers, deadlines)
        body = reply.chunks()
        try:
            async for data in body:
                for chunk in reader.feed(data):
                    yield chunk
                    if type(chunk) is Ended:
                        return
            for chunk in reader.close():
                yield chunk
        finally:
            reply.close()
            await body.aclose()

    async def _recalled(self, act: Recall, door: str, headers: SealedHeaders, deadlines: Deadlines) -> UpstreamReply:
        """An answer of 2xx. Ids of what is kept are of the account: no model stands in the address."""
        joined = "&".join(filter(None, (self._query[1:], act.query)))
        url = f"{self._root}{act.path}{'?' if joined else ''}{joined}"
        if act.method == "POST":
            reply = await self._transport.post(url, b"", headers, deadlines)
        else:
            ask = self._transport.get if act.method == "GET" else self._transport.delete
            reply = await ask(url, headers, deadlines)
        if reply.status >= 400:
            raise await self._failure(self._by_name[door], reply)
        return reply

    async def aclose(self) -> None:
        """The transport is shared, and closed by whoever opened it."""

    def _spoken(self, request: Request, target: Deployment) -> Dialect | None:
        own = self._by_name.get(request.wire.dialect) if request.wire is not None else None
        spoken = own or self._by_operation.get(request.operation)
        if spoken is None or f"no_{spoken.name}" not in target.quirks:
            return spoken
        others = (dialect for dialect in self._dialects if dialect.operation == request.operation)
        return next((dialect for dialect in others if f"no_{dialect.name}" not in target.quirks), None)

    def _dialect_for(self, request: Request, target: Deployment) -> Dialect:
        dialect = self._spoken(request, target)
        assert dialect is not None  # matching left this deployment out otherwise
        return dialect

    async def _body(self, dialect: Dialect, wire: WireRequest, target: Deployment, deadlines: Deadlines) -> bytes:
        reply = await self._send(dialect, wire, target, deadlines, self._whole_headers)
        try:
            return await reply.read()
        finally:
            reply.close()

    async def _send(
        self, dialect: Dialect, wire: WireRequest, target: Deployment, deadlines: Deadlines, headers: SealedHeaders
    ) -> UpstreamReply:
        """An answer of 2xx. Raises a ProviderError for any other."""
        root, query = self._roots.get(wire.path, self._root), self._query
        if self._is_per_model:
            model = escape(target.upstream_model)
            root, query = root.replace("{model}", model), query.replace("{model}", model)
        if query and "?" in wire.path:
            query = f"&{query[1:]}"
        if wire.headers:
            headers = SealedHeaders({**wire.headers, **headers})
        if wire.media_type is not None:
            headers = SealedHeaders({**headers, "accept": "*/*", "content-type": wire.media_type})
        reply = await self._transport.post(f"{root}{wire.path}{query}", wire.body, headers, deadlines)
        if self.on_quota is not None and (told := quota(reply.headers, self._utc_s())) is not None:
            self.on_quota(target.id, told)
        if reply.status >= 400:
            raise await self._failure(dialect, reply)
        return reply

    async def _failure(self, dialect: Dialect, reply: UpstreamReply) -> ProviderError:
        wait_s = retry_after_s(reply.headers, self._utc_s())
        return dialect.classify_error(reply.status, self._scrubbed(await read_some(reply.chunks())), wait_s)

    async def _not_a_stream(self, dialect: Dialect, first: bytes, rest: AsyncGenerator[bytes, None]) -> ProviderError:
        """The failure of a stream that is one JSON answer: often an error under a status of 200."""
        try:
            dialect.parse_response(self._scrubbed(first + await read_some(rest)))
        except ProviderError as exc:
            return exc
        return MalformedReply("the provider answered whole where a stream was asked for")

    def _scrubbed(self, body: bytes) -> bytes:
        """Without our own secrets: some providers repeat the key they refuse."""
        for secret in self._secrets:
            body = body.replace(secret, b"***")
        return body


def _traced(headers: SealedHeaders, trace: Trace | None) -> SealedHeaders:
    """The one thing a request brings beside its body: checked to its grammar, with an id of our own."""
    if trace is None:
        return headers
    told = SealedHeaders({**headers, "traceparent": trace.traceparent})
    if trace.state is not None:
        told["tracestate"] = trace.state
    return told


def _check_parts(parts: tuple[Part, ...]) -> None:
    """Raises MalformedReply where a part holds what can be written for no caller."""
    for part in parts:
        if isinstance(part, Opaque):
            json_text(part.raw)
        elif isinstance(part, Text) and part.citations:
            json_text(part.citations)


def _named(chunk: Chunk, target: Deployment) -> Chunk:
    """With the model that was asked, where a provider names none: some dialects have no word for it."""
    if (type(chunk) is Started or type(chunk) is Ended) and not chunk.model:
        return replace(chunk, model=target.upstream_model)
    return chunk


async def read_some(body: AsyncGenerator[bytes, None]) -> bytes:
    """The body's beginning, as far as it comes: the status said what matters."""
    data = b""
    try:
        async for piece in body:
            data += piece
            if len(data) > _MAX_ERROR_BYTES:
                break
    except ProviderError:
        pass  # broken off or late: what came is all there is to say
    finally:
        await body.aclose()
    return data[:_MAX_ERROR_BYTES]


def _with_stream(request: Request) -> Request:
    """The same question, to be answered as a stream."""
    wire = request.wire
    if wire is not None:
        wire = replace(wire, body={**wire.body, "stream": True})
    return replace(request, stream=True, wire=wire)
