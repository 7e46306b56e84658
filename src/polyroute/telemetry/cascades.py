"""Prometheus metrics of cascades: how often they escalate, whether that is as expected, and what it costs in time."""

import logging
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from polyroute.state.escalations import Escalations

_LOG = logging.getLogger(__name__)


def warn(route: str, rate: float, is_outside: bool) -> None:
    """For the log: a route's escalations have left their band, or are back in it."""
    where = "outside of its band" if is_outside else "within its band again"
    _LOG.warning("route %s escalates %.1f %% of its requests, %s", route, rate * 100, where)


class CascadeMetrics:
    """A collector for the registry."""

    def __init__(self, escalations: Escalations) -> None:
        self._escalations = escalations

    def collect(self) -> Iterator[Metric]:
        escalations = CounterMetricFamily(
            "polyroute_escalations", "Answers that gates rejected", labels=("route", "model")
        )
        straight = CounterMetricFamily(
            "polyroute_cascade_straight", "Requests for which a level did not pay", labels=("route",)
        )
        rate = GaugeMetricFamily(
            "polyroute_escalation_rate",
            "Share of requests that escalated, fading by half in an hour",
            labels=("route",),
        )
        alarm = GaugeMetricFamily(
            "polyroute_escalation_alarm", "1 while the rate is outside of its band", labels=("route",)
        )
        p95 = GaugeMetricFamily(
            "polyroute_cascade_p95_seconds", "95th percentile of the newest requests", labels=("route", "escalated")
        )
        for standing in self._escalations.standings():
            for model, count in standing.escalated.items():
                escalations.add_metric((standing.route, model), count)
            straight.add_metric((standing.route,), standing.straight)
            alarm.add_metric((standing.route,), float(standing.is_outside))
            if standing.rate is not None:
                rate.add_metric((standing.route,), standing.rate)
            for escalated, seconds in (("no", standing.p95_s), ("yes", standing.escalated_p95_s)):
                if seconds is not None:
                    p95.add_metric((standing.route, escalated), seconds)
        yield from (escalations, straight, rate, alarm, p95)
