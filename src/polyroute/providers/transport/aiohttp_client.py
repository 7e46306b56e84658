"""The transport port over aiohttp: for HTTP proxies (HTTPS_PROXY, HTTP_PROXY, NO_PROXY) and odd servers.

The proxy is looked up here, once per URL: aiohttp's own `trust_env` looks anew for each call, and reads ~/.netrc.
Several times the CPU of `http1`; importing this module imports aiohttp, so it is imported only where chosen.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Mapping
from io import BytesIO
from types import SimpleNamespace
from typing import TypeVar
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from polyroute.errors import MalformedReply, ProviderTimeout, Remedy, StreamInterrupted, Unreachable
from polyroute.providers.transport.address import parse_url
from polyroute.providers.transport.bounds import (
    HIGH_WATER_BYTES,
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    body_too_long,
    field_lines,
    head_too_long,
    inflater,
    objection,
)
from polyroute.types.cards import Deadlines

_MAX_URLS = 4096  # whose proxy is remembered
_PLAIN_BODY_BYTES = 1024 * 1024  # beyond, aiohttp wants to write piece by piece

_T = TypeVar("_T")


class AiohttpReply:
    """One answer whose head has arrived."""

    def __init__(self, response: aiohttp.ClientResponse, deadlines: Deadlines, started_at: float) -> None:
        self._response = response
        self._clock = _Clock(deadlines, started_at)

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return {name.lower(): value for name, value in self._response.headers.items()}

    async def read(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for data in self.chunks():
            size += len(data)
            if size > MAX_BODY_BYTES:
                self.close()
                raise body_too_long()
            parts.append(data)
        return b"".join(parts)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        unpacked = inflater(self._response.headers.get("content-encoding", ""))
        try:
            while data := await self._clock.limit(self._response.content.readany()):
                self._clock.has_begun = True
                if unpacked is None:
                    yield data
                elif grown := unpacked.feed(data):
                    yield grown
            if unpacked is not None and not unpacked.is_whole:
                raise MalformedReply("the provider's compressed answer is cut short")
        except aiohttp.http.HttpProcessingError as exc:
            raise MalformedReply("the provider broke HTTP/1.1 in its answer's body") from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise StreamInterrupted("the provider's connection broke in the middle of its answer") from exc
        finally:
            self.close()

    def close(self) -> None:
        self._response.close()  # where the body was read whole, its connection went back already

    detach = close


class AiohttpTransport:
    def __init__(self, *, max_open: int = 1000, idle_s: float = 30.0, tls: ssl.SSLContext | None = None) -> None:
        """`max_open` is per origin. `tls`: for authorities beyond the system's own."""
        self._max_open = max_open
        self._idle_s = idle_s
        self._tls = tls
        self._proxies: dict[str, str | None] = {}  # by URL
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], deadlines: Deadlines) -> AiohttpReply:
        return await self._call("POST", url, body, headers, deadlines)

    async def get(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> AiohttpReply:
        return await self._call("GET", url, b"", headers, deadlines)

    async def delete(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> AiohttpReply:
        return await self._call("DELETE", url, b"", headers, deadlines)

    async def _call(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], deadlines: Deadlines
    ) -> AiohttpReply:
        loop = asyncio.get_running_loop()
        if self._session is None or self._loop is not loop:
            self._session, self._loop = self._open_session(), loop
        field_lines(headers)  # refuses what cannot be sent
        started_at, path = loop.time(), _Path()
        try:
            return await self._send(self._session, method, url, body, headers, deadlines, started_at, path)
        except Unreachable:
            if not path.was_kept:
                raise
            # closed by the other side while it was idle: nothing was answered
            return await self._send(self._session, method, url, body, headers, deadlines, started_at, path)

    async def _send(
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        deadlines: Deadlines,
        started_at: float,
        path: "_Path",
    ) -> AiohttpReply:
        clock = _Clock(deadlines, started_at)
        try:
            response = await clock.limit(
                session.request(
                    method,
                    URL(url, encoded=True),
                    proxy=self._proxy(url),
                    data=(body or None) if len(body) < _PLAIN_BODY_BYTES else BytesIO(body),
                    headers={"accept-encoding": "identity", **headers},
                    allow_redirects=False,
                    trace_request_ctx=path,
                    timeout=aiohttp.ClientTimeout(total=None, connect=deadlines.connect_s),
                )
            )
        except aiohttp.ConnectionTimeoutError as exc:
            message = f"no connection to the provider within {deadlines.connect_s:g} s"
            raise ProviderTimeout(message, phase="connect") from exc
        except aiohttp.ClientSSLError as exc:
            error = Unreachable("no TLS connection to the provider")
            error.remedy = Remedy.SWITCH  # a certificate does not heal by itself
            raise error from exc
        except aiohttp.ClientResponseError as exc:
            cause = exc.__cause__
            if isinstance(cause, aiohttp.http_exceptions.LineTooLong):
                raise head_too_long() from exc
            raise MalformedReply("the provider broke HTTP/1.1 in its answer's head") from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise Unreachable(f"no answer from the provider: {type(exc).__name__}") from exc
        encoding = response.headers.get("content-encoding", "")
        error_in_head = objection(response.status, encoding)
        if sum(len(name) + len(value) for name, value in response.raw_headers) > MAX_HEAD_BYTES:
            error_in_head = head_too_long()
        if error_in_head is not None:
            response.close()
            raise error_in_head
        return AiohttpReply(response, deadlines, started_at)

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _proxy(self, url: str) -> str | None:
        if url not in self._proxies:
            if len(self._proxies) >= _MAX_URLS:
                self._proxies.clear()
            origin = parse_url(url).origin
            proxy = getproxies().get("https" if origin.is_tls else "http")
            self._proxies[url] = None if proxy_bypass(origin.host) else proxy
        return self._proxies[url]

    def _open_session(self) -> aiohttp.ClientSession:
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_reuseconn.append(_note_reuse)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                limit_per_host=self._max_open,
                keepalive_timeout=self._idle_s,
                ssl=self._tls if self._tls is not None else True,
            ),
            auto_decompress=False,
            trace_configs=[tracing],
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("user-agent", "content-type"),
            read_bufsize=HIGH_WATER_BYTES,
            max_line_size=MAX_HEAD_BYTES,
            max_field_size=MAX_HEAD_BYTES,
        )


class _Path:
    """How one call reached its upstream."""

    was_kept = False  # over a connection that had served before


async def _note_reuse(
    session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceConnectionReuseconnParams
) -> None:
    context.trace_request_ctx.was_kept = True


class _Clock:
    """The deadlines of one call; aiohttp's own know no first token."""

    def __init__(self, deadlines: Deadlines, started_at: float) -> None:
        self._deadlines = deadlines
        self._started_at = started_at
        self._time = asyncio.get_running_loop().time
        self.has_begun = False  # body bytes have come

    async def limit(self, work: Awaitable[_T]) -> _T:
        """Raises ProviderTimeout where `work` takes longer than the deadline that comes first."""
        deadlines = self._deadlines
        total_at = self._started_at + deadlines.total_s
        if self.has_begun:
            due_at = self._time() + deadlines.between_tokens_s
        else:
            due_at = self._started_at + deadlines.first_token_s
        scope = asyncio.timeout_at(min(total_at, due_at))
        try:
            async with scope:
                return await work
        except TimeoutError as exc:
            if not scope.expired():
                raise
            if due_at >= total_at:
                message = f"the answer was not whole after {deadlines.total_s:g} s"
                raise ProviderTimeout(message, phase="total") from exc
            if self.has_begun:
                message = f"the provider fell silent for {deadlines.between_tokens_s:g} s in the middle of its answer"
                raise ProviderTimeout(message, phase="between_tokens") from exc
            message = f"the provider sent nothing for {deadlines.first_token_s:g} s"
            raise ProviderTimeout(message, phase="first_token") from exc
