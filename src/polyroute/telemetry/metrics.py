"""Prometheus metrics of requests, attempts, tokens and money. Labelled by route, model and provider; never by caller.

Label values come from the document, so their number is bounded by it. Children are looked up once and kept: a labelled
look-up costs more than the increment.
"""

from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from polyroute.types.receipt import Attempt, Receipt

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_OVERHEAD = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)
_TOKEN_CLASSES = {
    "input": "input_tokens",
    "cached_input": "cached_input_tokens",
    "cache_write": "cache_write_tokens",
    "output": "output_tokens",
    "reasoning": "reasoning_tokens",
}

_Metric = TypeVar("_Metric", Counter, Gauge, Histogram)


class Metrics:
    """One registry per gateway, so that two in a process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        answered = ("route", "model", "provider")
        self._requests = self._counter("polyroute_requests", "Requests by how they ended", (*answered, "state"))
        self._attempts = self._counter("polyroute_attempts", "Calls to deployments", ("model", "provider", "status"))
        self._fallbacks = self._counter("polyroute_fallbacks", "Answers not given by the primary", ("route", "reason"))
        self._tokens = self._counter("polyroute_tokens", "Tokens by class", ("model", "provider", "class"))
        self._cost = self._counter("polyroute_cost_usd", "Spent", ("route", "model", "provider"))
        self._saved = self._gauge("polyroute_saved_usd_total", "Saved against the baseline, signed", ("route",))
        self._refused = self._counter("polyroute_refused", "Requests refused before a model was called", ("code",))
        self._overhead = self._histogram("polyroute_overhead_seconds", "Time of the gateway itself", (), _OVERHEAD)
        self._upstream = self._histogram("polyroute_upstream_seconds", "Time of one attempt", ("model", "provider"))
        self._first = self._histogram("polyroute_first_token_seconds", "To the first token", ("model", "provider"))
        self._children: dict[tuple[object, ...], Counter | Gauge | Histogram] = {}

    def answered(self, receipt: Receipt) -> None:
        """Books one settled receipt."""
        route, model, provider = receipt.route, receipt.model or "", receipt.provider or ""
        self._child(self._requests, route, model, provider, receipt.state).inc()
        for attempt in receipt.attempts:
            self._attempt(attempt)
        if receipt.fallback_reason is not None:
            self._child(self._fallbacks, route, receipt.fallback_reason.rpartition(": ")[2]).inc()
        if receipt.cost_usd:
            self._child(self._cost, route, model, provider).inc(float(receipt.cost_usd))
        if receipt.saved_usd:
            self._child(self._saved, route).inc(float(receipt.saved_usd))
        self._overhead.observe(receipt.overhead_ms / 1000)

    def refused(self, status: int, code: str) -> None:
        self._child(self._refused, code).inc()

    def render(self) -> bytes:
        return generate_latest(self.registry)

    def _attempt(self, attempt: Attempt) -> None:
        model, provider = attempt.model, attempt.provider
        self._child(self._attempts, model, provider, attempt.status).inc()
        self._child(self._upstream, model, provider).observe(attempt.duration_ms / 1000)
        if attempt.first_token_ms is not None:
            self._child(self._first, model, provider).observe(attempt.first_token_ms / 1000)
        if attempt.usage is not None:
            for name, field in _TOKEN_CLASSES.items():
                if count := getattr(attempt.usage, field):
                    self._child(self._tokens, model, provider, name).inc(count)

    def _child(self, metric: _Metric, *labels: str) -> _Metric:
        key = (metric, *labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = metric.labels(*labels)
        return child  # type: ignore[return-value]  # a child is of its metric's own class

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...]) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...] = _SECONDS
    ) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)
