"""Prometheus metrics of requests, attempts, tokens and money. Labelled by route, model and provider; never by caller.

Every answer changes a dozen figures, so they are kept in plain dictionaries and become Prometheus' families only when
they are asked for. Label values come from the document, so their number is bounded by it.
"""

import logging
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from polyroute.telemetry.tiers import Breach
from polyroute.types.receipt import Attempt, Receipt

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_OVERHEAD = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)

_BREAKER_STATES = ("closed", "rising", "trying", "open")
_LOG = logging.getLogger(__name__)

Labels = tuple[str, ...]


class _Sums:
    """A counter or gauge: one figure per combination of labels."""

    def __init__(self, name: str, about: str, labels: Labels, *, signed: bool = False) -> None:
        self._kind = GaugeMetricFamily if signed else CounterMetricFamily
        self._name, self._about, self._labels = name, about, labels
        self.figures: defaultdict[Labels, float] = defaultdict(float)

    def family(self) -> Metric:
        family = self._kind(self._name, self._about, labels=self._labels)
        for labels, figure in self.figures.items():
            family.add_metric(labels, figure)
        return family


class _Buckets:
    """A histogram: how many observations fell under each bound, and their sum."""

    def __init__(self, name: str, about: str, labels: Labels, bounds: tuple[float, ...] = _SECONDS) -> None:
        self._name, self._about, self._labels, self._bounds = name, about, labels, bounds
        self._seen: dict[Labels, tuple[list[int], list[float]]] = {}

    def observe(self, labels: Labels, seconds: float) -> None:
        seen = self._seen.get(labels)
        if seen is None:
            seen = self._seen[labels] = ([0] * (len(self._bounds) + 1), [0.0])
        seen[0][bisect_left(self._bounds, seconds)] += 1
        seen[1][0] += seconds

    def family(self) -> Metric:
        family = HistogramMetricFamily(self._name, self._about, labels=self._labels)
        names = [*map(str, self._bounds), "+Inf"]
        for labels, (counts, total) in self._seen.items():
            running, buckets = 0, []
            for name, count in zip(names, counts, strict=True):
                running += count
                buckets.append((name, running))
            family.add_metric(labels, buckets, total[0])
        return family


class Metrics(Collector):
    """One registry per gateway, so that two in a process do not mix."""

    def __init__(self) -> None:
        answerer = ("route", "model", "provider")
        model = ("model", "provider")
        self._requests = _Sums("polyroute_requests", "Requests by how they ended", (*answerer, "state"))
        self._attempts = _Sums("polyroute_attempts", "Calls to deployments", (*model, "status"))
        self._fallbacks = _Sums("polyroute_fallbacks", "Answers not given by the primary", ("route", "reason"))
        self._tokens = _Sums("polyroute_tokens", "Tokens by class", (*model, "class"))
        self._cost = _Sums("polyroute_cost_usd", "Spent", answerer)
        self._saved = _Sums("polyroute_saved_usd_total", "Saved against the baseline", ("route",), signed=True)
        self._refused = _Sums("polyroute_refused", "Requests refused before a model answered", ("code",))
        self._breaches = _Sums("polyroute_tier_breaches", "Answers beyond a tier's target", ("route", "tier", "kind"))
        self._breakers = _Sums(
            "polyroute_breaker_state", "0 closed, 1 rising, 2 trying, 3 open", ("deployment",), signed=True
        )
        self._overhead = _Buckets("polyroute_overhead_seconds", "Time of the gateway itself", (), _OVERHEAD)
        self._upstream = _Buckets("polyroute_upstream_seconds", "Time of one attempt", model)
        self._first_token = _Buckets("polyroute_first_token_seconds", "To the first token", model)
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def answered(self, receipt: Receipt) -> None:
        """Books one settled receipt."""
        answerer = (receipt.route, receipt.model or "", receipt.provider or "")
        self._requests.figures[(*answerer, receipt.state)] += 1
        for attempt in receipt.attempts:
            self._attempt(attempt)
        if receipt.fallback_reason is not None:
            self._fallbacks.figures[receipt.route, receipt.fallback_reason.rpartition(": ")[2]] += 1
        self._cost.figures[answerer] += float(receipt.cost_usd)
        if receipt.saved_usd is not None:
            self._saved.figures[receipt.route,] += float(receipt.saved_usd)
        self._overhead.observe((), receipt.overhead_ms / 1000)

    def breached(self, breach: Breach) -> None:
        self._breaches.figures[breach.route, breach.tier, breach.kind] += 1

    def turned(self, deployment: str, before: str, after: str) -> None:
        """A deployment's breaker opened, tries, rises or closed."""
        self._breakers.figures[deployment,] = _BREAKER_STATES.index(after)
        if after in ("open", "closed"):
            _LOG.warning("the breaker of %s is %s; it was %s", deployment, after, before)

    def refused(self, code: str) -> None:
        self._refused.figures[code,] += 1

    def render(self) -> bytes:
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        metrics: Iterable[_Sums | _Buckets] = (
            self._requests,
            self._attempts,
            self._fallbacks,
            self._tokens,
            self._cost,
            self._saved,
            self._refused,
            self._breaches,
            self._breakers,
            self._overhead,
            self._upstream,
            self._first_token,
        )
        return (metric.family() for metric in metrics)

    def _attempt(self, attempt: Attempt) -> None:
        model = (attempt.model, attempt.provider)
        self._attempts.figures[(*model, attempt.status)] += 1
        self._upstream.observe(model, attempt.duration_ms / 1000)
        if attempt.first_token_ms is not None:
            self._first_token.observe(model, attempt.first_token_ms / 1000)
        usage = attempt.usage
        if usage is not None:
            tokens = self._tokens.figures
            for name, count in (
                ("input", usage.input_tokens + usage.input_audio_tokens),
                ("cached_input", usage.cached_input_tokens),
                ("cache_write", usage.cache_write_tokens + usage.cache_write_1h_tokens),
                ("output", usage.output_tokens + usage.output_audio_tokens),
                ("reasoning", usage.reasoning_tokens),
            ):
                if count:
                    tokens[(*model, name)] += count
