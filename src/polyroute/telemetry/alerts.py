"""Watches conditions and says when one begins to hold, and when it does not any more. Pure: the time is passed in.

Each condition is watched for each route, deployment or budget by itself; what holds is told once, however often it is
seen. It is over when it has not held for a minute; an event, when it has not happened for a whole window.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from polyroute.config.alerts import Watched
from polyroute.telemetry.recent import Recent, see
from polyroute.telemetry.tiers import Breach
from polyroute.types.receipt import Receipt

ALL_ROUTES = "all routes"
_OF_ALL = frozenset({"cost_per_hour_usd", "requests_per_minute"})
_CALM_S = 60.0
_MOST_SUBJECTS = 10_000
_FAILURES: Mapping[str | None, str] = {
    "PlanExhausted": "plan_exhausted",
    "DeadlineExceeded": "plan_exhausted",
    "NoCandidate": "no_candidate",
    "BudgetExceeded": "budget_exceeded",
}


class Notice(Struct, frozen=True, kw_only=True):
    """One message to those who watch."""

    event: Literal["raised", "recovered"]
    condition: str  # as the document says it
    subject: str  # a route, a deployment, a budget, or all routes
    message: str  # a sentence for people
    figure: float | None = None  # that the condition is about
    count: int = 1  # how often it happened while it was raised
    details: Mapping[str, object] = {}


class _Raised:
    """What was told and is not over."""

    __slots__ = ("count", "seen_s")

    def __init__(self, now_s: float) -> None:
        self.seen_s = now_s
        self.count = 1


class Alerts:
    """The conditions of one alert of the document. Every method gives what is to be told now."""

    def __init__(
        self, conditions: Sequence[Watched], *, routes: Iterable[str] = (), window_s: float = 300.0, at_least: int = 10
    ) -> None:
        self._events = {watched.about: watched for watched in conditions if watched.sign is None}
        self._figures = [watched for watched in conditions if watched.sign is not None and watched.about != "budget"]
        self._budgets = [watched for watched in conditions if watched.about == "budget"]
        self._routes = frozenset(routes)
        self._window_s = window_s
        self._at_least = at_least
        self._recent: dict[str, Recent] = {}
        self._raised: dict[tuple[Watched, str], _Raised] = {}

    @property
    def watches_budgets(self) -> bool:
        return bool(self._budgets)

    def note(self, receipt: Receipt, now_s: float) -> Iterator[Notice]:
        """A request has been settled."""
        if self._routes and receipt.route not in self._routes:
            return
        if self._figures:
            seen = see(receipt, now_s)
            for subject in (receipt.route, ALL_ROUTES):
                recent = self._recent.get(subject)
                if recent is None:
                    recent = self._recent[subject] = Recent(self._window_s, self._at_least)
                recent.add(seen)
        event = _FAILURES.get(receipt.error)
        if event is not None:
            told = {"request_id": receipt.request_id, "error": receipt.error_message}
            yield from self._happened(event, receipt.route, now_s, receipt.error_message or event, told)

    def turned(self, deployment: str, after: str, now_s: float) -> Iterator[Notice]:
        """A breaker is in another state."""
        watched = self._events.get("breaker_opened")
        if after == "open":
            words = f"`{deployment}` fails and is left out; its requests go elsewhere"
            yield from self._happened("breaker_opened", deployment, now_s, words, {})
        elif after == "closed" and watched is not None:
            yield from self._over(watched, deployment, f"`{deployment}` answers again")

    def missed(self, breach: Breach, share: float, now_s: float) -> Iterator[Notice]:
        """A tier misses its target in so many of its answers that it counts."""
        if not self._routes or breach.route in self._routes:
            words = f"tier {breach.tier} of `{breach.route}` misses its {breach.kind} target in {share:.0%} of answers"
            told = {"tier": breach.tier, "target": breach.kind, "share": share}
            yield from self._happened("tier_missed", f"{breach.route}/{breach.tier}/{breach.kind}", now_s, words, told)

    def sent_away(self, count: int, now_s: float) -> Iterator[Notice]:
        """So many requests were refused since the last look, because the gateway itself was full."""
        words = f"more requests come than the gateway can serve; {count} were refused in the last second"
        yield from self._happened("overloaded", ALL_ROUTES, now_s, words, {"refused": count})

    def spent(self, budget: str, share: float, now_s: float) -> Iterator[Notice]:
        """How much of a budget is spent. A new window of it begins with less: then the alert is over."""
        for watched in self._budgets:
            if watched.holds(share):
                words = f"{share:.0%} of the budget {budget} is spent"
                yield from self._holds(watched, budget, now_s, words, share, {"share": share})
            elif (watched, budget) in self._raised:
                yield from self._over(watched, budget, f"{share:.0%} of the budget {budget} is spent", share)

    def look(self, now_s: float) -> Iterator[Notice]:
        """Once a second or so: what the figures say, and what is over."""
        for recent in self._recent.values():
            recent.forget(now_s)
        for watched in self._figures:
            subjects = (ALL_ROUTES,) if watched.about in _OF_ALL else tuple(self._recent)
            for subject in subjects:
                if (subject == ALL_ROUTES) == (watched.about in _OF_ALL):
                    yield from self._figure(watched, subject, now_s)
        for watched in self._events.values():
            for subject, raised in [(name, raised) for (held, name), raised in self._raised.items() if held == watched]:
                if watched.about != "breaker_opened" and now_s - raised.seen_s > self._window_s:
                    words = f"{watched.about} has not happened for {self._window_s:g} s; {raised.count} times before"
                    yield from self._over(watched, subject, words)

    def _figure(self, watched: Watched, subject: str, now_s: float) -> Iterator[Notice]:
        recent = self._recent.get(subject)
        if recent is None:
            return
        figure = recent.figure(watched.about)
        key = (watched, subject)
        if figure is not None and watched.holds(figure):
            details: dict[str, object] = {}
            words = f"{watched.about} of {_named(subject)} is {_written(watched.about, figure)} ({watched})"
            if watched.about == "fallback_share" and key not in self._raised:
                falls = recent.falls()
                details = {"causes": falls.causes, "deployment": falls.limited, "propose": falls.propose_per_minute}
                words += f": {_split(falls.causes)}" + (f"; {falls.hint}" if falls.hint else "")
            yield from self._holds(watched, subject, now_s, words, figure, details)
        elif key in self._raised and now_s - self._raised[key].seen_s > _CALM_S:
            said = "no requests say anything" if figure is None else f"it is {_written(watched.about, figure)}"
            yield from self._over(watched, subject, f"{watched.about} of {_named(subject)}: {said} again", figure)

    def _happened(
        self, event: str, subject: str, now_s: float, words: str, details: Mapping[str, object]
    ) -> Iterator[Notice]:
        watched = self._events.get(event)
        if watched is not None:
            yield from self._holds(watched, subject, now_s, words, None, details)

    def _holds(
        self,
        watched: Watched,
        subject: str,
        now_s: float,
        words: str,
        figure: float | None,
        details: Mapping[str, object],
    ) -> Iterator[Notice]:
        raised = self._raised.get((watched, subject))
        if raised is not None:
            raised.seen_s = now_s
            raised.count += 1
        elif len(self._raised) < _MOST_SUBJECTS:
            self._raised[watched, subject] = _Raised(now_s)
            yield Notice(
                event="raised", condition=str(watched), subject=subject, message=words, figure=figure, details=details
            )

    def _over(self, watched: Watched, subject: str, words: str, figure: float | None = None) -> Iterator[Notice]:
        raised = self._raised.pop((watched, subject), None)
        if raised is not None:
            yield Notice(
                event="recovered",
                condition=str(watched),
                subject=subject,
                message=words,
                figure=figure,
                count=raised.count,
            )


def _named(subject: str) -> str:
    return subject if subject == ALL_ROUTES else f"`{subject}`"


def _written(about: str, figure: float) -> str:
    return f"{figure:.0%}" if about.endswith("_share") else f"{figure:.4g}"


def _split(causes: Mapping[str, int]) -> str:
    whole = sum(causes.values())
    return ", ".join(f"{count / whole:.0%} {cause.replace('_', ' ')}" for cause, count in causes.items())
