"""Prometheus metrics of requests, attempts, tokens and money. Labelled by route, model and provider; never by caller.

Every answer changes a dozen figures, so they are kept in plain dictionaries and become Prometheus' families only when
they are asked for. Label values come from the document, so their number is bounded by it.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

from msgspec import Struct
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from polyroute.telemetry.figures import Buckets, Sums
from polyroute.telemetry.slate import Slates
from polyroute.telemetry.tiers import Breach
from polyroute.types.moderation import Ruling
from polyroute.types.receipt import Attempt, Receipt

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_OVERHEAD = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)

# A request that joined another under way met the exact tier.
_CACHES = {
    "miss": ("none", "miss"),
    "exact": ("exact", "hit"),
    "semantic": ("semantic", "hit"),
    "coalesced": ("exact", "joined"),
}
_BREAKER_STATES = ("closed", "rising", "trying", "open")
_LOG = logging.getLogger(__name__)


class Busy(Struct, frozen=True, kw_only=True):
    """What a deployment is doing; None: its provider tells nothing of its quota."""

    deployment: str
    in_flight: int
    requests_left: float | None = None
    tokens_left: float | None = None


def _answerer(receipt: Receipt) -> str:
    """The deployment that was asked last."""
    return receipt.attempts[-1].deployment if receipt.attempts else ""


class Metrics(Collector):
    """One registry per gateway, so that two in a process do not mix."""

    def __init__(self) -> None:
        answerer = ("route", "model", "provider")
        model = ("model", "provider")
        self._requests = Sums("polyroute_requests", "Requests by how they ended", (*answerer, "state"))
        self._attempts = Sums("polyroute_attempts", "Calls to deployments", (*model, "status"))
        self._hedges = Sums("polyroute_hedges", "Second calls beside a late one", ("route", "outcome"))
        self._continuations = Sums(
            "polyroute_continuations", "Calls to go on with a stream that broke off", ("route", "status")
        )
        self._fallbacks = Sums("polyroute_fallbacks", "Answers not given by the primary", ("route", "reason"))
        self._tokens = Sums("polyroute_tokens", "Tokens by class", (*model, "class"))
        self._cost = Sums("polyroute_cost_usd", "Spent", answerer)
        self._saved = Sums("polyroute_saved_usd_total", "Saved against the baseline", ("route",), is_gauge=True)
        self._refused = Sums("polyroute_refused", "Requests refused before a model answered", ("code",))
        self._breaches = Sums("polyroute_tier_breaches", "Answers beyond a tier's target", ("route", "tier", "kind"))
        self._breakers = Sums(
            "polyroute_breaker_state",
            "0 closed, 1 rising, 2 trying, 3 open",
            ("deployment",),
            is_gauge=True,
            across="max",
        )
        self._overhead = Buckets("polyroute_overhead_seconds", "Time of the gateway itself", ("route",), _OVERHEAD)
        self._upstream = Buckets("polyroute_upstream_seconds", "Time of one attempt", model)
        self._first_token = Buckets("polyroute_first_token_seconds", "To the first token", model)
        self._caches = Sums("polyroute_cache", "Requests by what a cache did", ("tier", "outcome"))
        self._left = Sums(
            "polyroute_budget_remaining_usd", "Left of a budget", ("budget",), is_gauge=True, across="own"
        )
        self._moderated = Sums(
            "polyroute_moderated", "Texts by who settled them, and how", ("moderator", "stage", "outcome")
        )
        self._dropped = Sums("polyroute_telemetry_dropped", "What a collector did not take", ("kind",))
        self._alerts = Sums("polyroute_alerts", "Notices to those who watch", ("condition", "event"))
        self._in_flight = Sums("polyroute_in_flight", "Calls under way", ("deployment",), is_gauge=True, across="now")
        self._quota = Sums(
            "polyroute_quota_remaining",
            "Left of a provider's quota, as it says",
            ("deployment", "kind"),
            is_gauge=True,
            across="min",
        )
        self._crowd = Sums("polyroute_overload", "Requests at the entrance", ("of",), is_gauge=True, across="now")
        self.crowd: Callable[[], Iterable[tuple[str, float]]] = tuple
        self.loads: Callable[[], Iterable[Busy]] = tuple  # of each deployment
        self.budgets: Callable[[], Iterable[tuple[str, Decimal]]] = tuple  # what is left of each, by its name
        self._is_kept = False
        self.cascades: Callable[[], tuple[Sums, ...]] = tuple  # their figures, as they stand
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def answered(self, receipt: Receipt) -> None:
        """Books one settled receipt."""
        answerer = (receipt.route, receipt.model or "", receipt.provider or "")
        self._requests.figures[(*answerer, receipt.state)] += 1
        for attempt in receipt.attempts:
            if attempt.role == "shared":
                continue  # the request whose call it was tells of it
            self._attempt(attempt)
            if attempt.role == "hedge":
                self._hedges.figures[receipt.route, "won" if attempt.status == "succeeded" else "lost"] += 1
            elif attempt.role == "continuation":
                self._continuations.figures[receipt.route, attempt.status] += 1
        if receipt.fallback_reason is not None:
            self._fallbacks.figures[receipt.route, receipt.fallback_reason.rpartition(": ")[2]] += 1
        elif receipt.passed_over is not None and not receipt.passed_over.startswith(f"{_answerer(receipt)}: "):
            self._fallbacks.figures[receipt.route, receipt.passed_over.rpartition(": ")[2]] += 1
        self._cost.figures[answerer] += float(receipt.cost_usd)
        if receipt.saved_usd is not None:
            self._saved.figures[receipt.route,] += float(receipt.saved_usd)
        self._caches.figures[_CACHES.get(receipt.cache, (receipt.cache, "hit"))] += 1
        self._overhead.observe((receipt.route,), receipt.overhead_ms / 1000)

    def breached(self, breach: Breach) -> None:
        self._breaches.figures[breach.route, breach.tier, breach.kind] += 1

    def turned(self, deployment: str, before: str, after: str) -> None:
        """A deployment's breaker opened, tries, rises or closed."""
        self._breakers.figures[deployment,] = _BREAKER_STATES.index(after)
        if after in ("open", "closed"):
            _LOG.warning("the breaker of %s is %s; it was %s", deployment, after, before)

    def refused(self, code: str) -> None:
        self._refused.figures[code,] += 1

    def keep(self, slates: Slates) -> None:
        """Where several workers are one gateway: each tells what all have counted."""
        self._is_kept = True
        for figure in (*self.figures(), *self.cascades()):
            figure.keep(slates)

    def publish(self) -> None:
        """For other workers of the gateway, which tell what was published last: once a second."""
        if self._is_kept:
            self.figures()
            self.cascades()

    def render(self) -> bytes:
        return generate_latest(self._registry)

    def dropped(self, kind: str, count: int) -> None:
        """Spans or figures that were not told."""
        self._dropped.figures[kind,] += count

    def moderated(self, moderator: str, ruling: Ruling) -> None:
        self._moderated.figures[moderator, ruling.stage, "flagged" if ruling.flagged else "allowed"] += 1

    def alerted(self, condition: str, event: str) -> None:
        self._alerts.figures[condition, event] += 1

    def figures(self) -> tuple[Sums | Buckets, ...]:
        """All there are, as they stand now."""
        self._left.figures.clear()
        for budget, left_usd in self.budgets():
            self._left.figures[budget,] = float(left_usd)
        self._in_flight.figures.clear()
        self._quota.figures.clear()
        for busy in self.loads():
            self._in_flight.figures[busy.deployment,] = busy.in_flight
            for kind, left in (("requests", busy.requests_left), ("tokens", busy.tokens_left)):
                if left is not None:
                    self._quota.figures[busy.deployment, kind] = int(left)
        self._crowd.figures.clear()
        for name, figure in self.crowd():
            self._crowd.figures[name,] = figure
        return (
            self._requests,
            self._attempts,
            self._hedges,
            self._continuations,
            self._fallbacks,
            self._tokens,
            self._cost,
            self._saved,
            self._refused,
            self._crowd,
            self._breaches,
            self._breakers,
            self._in_flight,
            self._quota,
            self._caches,
            self._left,
            self._moderated,
            self._dropped,
            self._alerts,
            self._overhead,
            self._upstream,
            self._first_token,
        )

    def collect(self) -> Iterator[Metric]:
        return (figure.family() for figure in (*self.figures(), *self.cascades()))

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
