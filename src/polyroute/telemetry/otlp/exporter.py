"""Tells a collector of settled requests, in batches beside the requests' own path. Never waits, never fails a request.

What comes faster than the collector takes it is dropped and counted; a collector that is away or slow is tried again,
less and less often, and said to be so in the log once a minute at most. Source of paths, of what may be tried again and
of media types: the OTLP specification 1.x, "OTLP/HTTP".
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct

from polyroute.errors import ProviderError
from polyroute.ports import Monotonic, Transport
from polyroute.privacy.detector import Detector
from polyroute.telemetry.figures import Buckets, Sums
from polyroute.telemetry.otlp import protobuf
from polyroute.telemetry.otlp.content import Spoken, attributes_of
from polyroute.telemetry.otlp.figures import GenAiFigures, metrics
from polyroute.telemetry.otlp.spans import spans
from polyroute.telemetry.otlp.values import Json
from polyroute.types.cards import Deadlines
from polyroute.types.receipt import Receipt

_json = msgspec.json.Encoder().encode
_LOG = logging.getLogger(__name__)
_MOST_WAITING = 4096  # requests
_BATCH = 256  # requests in one message
_SLICE = 8  # encoded at once: less than a millisecond that nobody else gets
_EVERY_S = 2.0
_FIGURES_EVERY_S = 15.0
_LONGEST_PAUSE_S = 60.0
_QUIET_S = 60.0
_FAREWELL_S = 2.0
_AGAIN = frozenset({429, 502, 503, 504})
_DEADLINES = Deadlines(connect_s=5, first_token_s=10, between_tokens_s=10, total_s=10)


class Told(Struct, frozen=True):
    """One request to be told of; `spoken` where prompts and answers may be."""

    receipt: Receipt
    spoken: Spoken | None = None


class Collector(Struct, frozen=True, kw_only=True):
    """Where to, and as what."""

    url: str
    headers: Mapping[str, str]
    is_json: bool
    resource: Json
    scope: Json
    providers: Mapping[str, str]  # the conventions' names of the document's
    detector: Detector = Detector()  # of what is masked in prompts and answers


class Exporter:
    def __init__(
        self,
        collector: Collector,
        transport: Transport,
        figures: Callable[[], Iterable[Sums | Buckets]],
        dropped: Callable[[str, int], None],
        *,
        unix_ns: Callable[[], int],
        monotonic: Monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._to = collector
        self._transport = transport
        self._figures = figures
        self._dropped = dropped
        self._unix_ns = unix_ns
        self._monotonic = monotonic
        self._sleep = sleep
        self._waiting: deque[Told] = deque()
        self._genai = GenAiFigures(collector.providers)
        self._start_ns = unix_ns()
        self._said_s = float("-inf")
        self._pause_s = _EVERY_S
        self._figures_at_s = monotonic() + _FIGURES_EVERY_S

    def tell(self, receipt: Receipt) -> None:
        """On the request's path: a few microseconds."""
        self._genai.note(receipt)
        if receipt.trace is None or not receipt.trace.sampled:
            return
        if len(self._waiting) >= _MOST_WAITING:
            self._dropped("spans", 1 + len(receipt.attempts))
            return
        self._waiting.append(Told(receipt))

    def tell_content(self, receipt: Receipt, spoken: Spoken) -> None:
        """Of the request that was told last; where it was not taken, nothing is."""
        if self._waiting and self._waiting[-1].receipt is receipt:
            self._waiting[-1] = Told(receipt, spoken)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._sleep(self._pause_s)
            await self.flush()

    async def flush(self) -> None:
        """All that waits, and the figures where they are due; the first failure ends it."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            if not await self._deliver("/v1/traces", await self._traces(batch), batch):
                return
        if self._monotonic() >= self._figures_at_s:
            self._figures_at_s = self._monotonic() + _FIGURES_EVERY_S
            await self._deliver("/v1/metrics", self._metrics(), ())

    async def aclose(self) -> None:
        """The last words, in short time."""
        self._figures_at_s = self._monotonic()
        try:
            async with asyncio.timeout(_FAREWELL_S):
                await self.flush()
        except TimeoutError:
            _LOG.debug("the collector did not take the last spans in time")

    def _keep(self, batch: Sequence[Told]) -> None:
        """For the next time; the oldest go where there is no room."""
        room = max(0, _MOST_WAITING - len(self._waiting))
        lost = batch[: len(batch) - room] if room < len(batch) else ()
        if lost:
            self._dropped("spans", _count(lost))
        self._waiting.extendleft(reversed(batch[len(lost) :]))

    async def _traces(self, batch: Sequence[Told]) -> bytes:
        parts: list[bytes] = []
        for at in range(0, len(batch), _SLICE):
            parts += (self._encoded(span) for told in batch[at : at + _SLICE] for span in self._spans(told))
            await asyncio.sleep(0)
        to = self._to
        if to.is_json:
            head = _json({"resource": to.resource})[:-1] + b',"scopeSpans":[' + _json({"scope": to.scope})[:-1]
            return b'{"resourceSpans":[' + head + b',"spans":[' + b",".join(parts) + b"]}]}]}"
        inner = protobuf.encode("ScopeSpans", {"scope": to.scope}) + b"".join(parts)
        outer = protobuf.encode("ResourceSpans", {"resource": to.resource})
        outer += protobuf.field("ResourceSpans", "scopeSpans", inner)
        return protobuf.field("Traces", "resourceSpans", outer)

    def _spans(self, told: Told) -> list[Json]:
        trace = told.receipt.trace
        assert trace is not None  # `tell` took no other
        content = {} if told.spoken is None else attributes_of(told.spoken, self._to.detector)
        return spans(told.receipt, trace, self._to.providers, content)

    def _encoded(self, span: Json) -> bytes:
        if self._to.is_json:
            return _json(span)
        return protobuf.field("ScopeSpans", "spans", protobuf.encode("Span", span))

    def _metrics(self) -> bytes:
        found = metrics((*self._figures(), *self._genai.figures()), self._start_ns, self._unix_ns())
        scoped = {"scope": self._to.scope, "metrics": found}
        message = {"resourceMetrics": [{"resource": self._to.resource, "scopeMetrics": [scoped]}]}
        return _json(message) if self._to.is_json else protobuf.encode("Metrics", message)

    async def _deliver(self, path: str, body: bytes, batch: Sequence[Told]) -> bool:
        """Whether it was taken. What may be tried again is kept; what was refused is not."""
        kind = "application/json" if self._to.is_json else "application/x-protobuf"
        headers = {**self._to.headers, "content-type": kind, "user-agent": "polyroute"}
        try:
            reply = await self._transport.post(self._to.url + path, body, headers, _DEADLINES)
            status = reply.status
            reply.close()
        except ProviderError as exc:
            self._say("the collector is away: %s", exc.message)
            status = 503
        except asyncio.CancelledError:
            self._keep(batch)
            raise
        if 200 <= status < 300:
            self._pause_s = _EVERY_S
            return True
        self._pause_s = min(_LONGEST_PAUSE_S, self._pause_s * 2)
        if status in _AGAIN:
            self._keep(batch)
        else:
            self._dropped("spans", _count(batch))
        self._say("the collector answered %s", status)
        return False

    def _say(self, words: str, value: object) -> None:
        now_s = self._monotonic()
        if now_s - self._said_s >= _QUIET_S:
            self._said_s = now_s
            _LOG.warning(words, value)


def _count(batch: Iterable[Told]) -> int:
    return sum(1 + len(told.receipt.attempts) for told in batch)
