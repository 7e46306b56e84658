"""Prometheus metrics of cascades: how often they escalate, whether that is as expected, and what it costs in time."""

import logging

from polyroute.state.escalations import Escalations
from polyroute.telemetry.figures import Sums
from polyroute.telemetry.slate import Labels

_LOG = logging.getLogger(__name__)


def warn(route: str, rate: float, is_outside: bool) -> None:
    """For the log: a route's escalations have left their band, or are back in it."""
    where = "outside of its band" if is_outside else "within its band again"
    _LOG.warning("route %s escalates %.1f %% of its requests, %s", route, rate * 100, where)


class CascadeMetrics:
    """Of several workers, rates and times are those of the worst."""

    def __init__(self, escalations: Escalations) -> None:
        self._source = escalations
        self._told: dict[Labels, int] = {}  # of what was counted so far
        self._escalations = Sums("polyroute_escalations", "Answers that gates rejected", ("route", "model"))
        self._straight = Sums("polyroute_cascade_straight", "Requests for which a level did not pay", ("route",))
        self._rate = Sums(
            "polyroute_escalation_rate",
            "Share of requests that escalated, fading by half in an hour",
            ("route",),
            is_gauge=True,
            across="max",
        )
        self._alarm = Sums(
            "polyroute_escalation_alarm",
            "1 while the rate is outside of its band",
            ("route",),
            is_gauge=True,
            across="max",
        )
        self._p95 = Sums(
            "polyroute_cascade_p95_seconds",
            "95th percentile of the newest requests",
            ("route", "escalated"),
            is_gauge=True,
            across="max",
        )

    def figures(self) -> tuple[Sums, ...]:
        """As they stand now."""
        for standing in self._source.standings():
            route = standing.route
            for model, count in standing.escalated.items():
                self._count(self._escalations, (route, model), count)
            self._count(self._straight, (route,), standing.straight)
            self._alarm.figures[route,] = float(standing.is_outside)
            if standing.rate is not None:
                self._rate.figures[route,] = standing.rate
            for escalated, seconds in (("no", standing.p95_s), ("yes", standing.escalated_p95_s)):
                if seconds is not None:
                    self._p95.figures[route, escalated] = seconds
        return self._escalations, self._straight, self._rate, self._alarm, self._p95

    def _count(self, figure: Sums, labels: Labels, count: int) -> None:
        place = (figure.name, *labels)
        figure.figures[labels] += count - self._told.get(place, 0)
        self._told[place] = count
