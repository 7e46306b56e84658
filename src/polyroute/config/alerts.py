"""What an alert watches for, read from its words: `plan_exhausted`, `fallback_share > 0.4`. Pure.

A condition is the name of an event, or a figure, a sign and an amount. What each means is in `FIGURES` and `EVENTS`;
`telemetry.alerts` watches for it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from operator import ge, gt, le, lt

from msgspec import Struct

from polyroute.config.document import Alert
from polyroute.config.suggest import Vocabulary
from polyroute.errors import Problem

EVENTS: Mapping[str, str] = {
    "plan_exhausted": "every attempt of a request failed, or its time ran out",
    "no_candidate": "no model could serve a request",
    "budget_exceeded": "a request was refused for its cost",
    "breaker_opened": "a deployment fails and is left out",
    "overloaded": "the gateway refuses requests, since more come than it can serve",
    "tier_missed": "a tier misses its target of latency or price",
}
SHARES: Mapping[str, str] = {
    "fallback_share": "of answers, those that the primary did not give",
    "error_share": "of requests, those that failed",
    "rejected_share": "of calls, those whose answer a gate rejected",
    "budget": "of any one budget, what is spent; `>` counts from the amount itself",
}
AMOUNTS: Mapping[str, str] = {
    "p50_ms": "how long half of the requests take",
    "p95_ms": "how long all but the slowest twentieth take",
    "p99_ms": "how long all but the slowest hundredth take",
    "first_token_p95_ms": "the same, to a stream's first token",
    "overhead_p95_ms": "the same, of the gateway's own time",
    "cost_per_hour_usd": "what all routes together spend, at the rate of the window",
    "cost_per_request_usd": "the mean",
    "requests_per_minute": "of all routes together",
}
FIGURES = {**SHARES, **AMOUNTS}
_SIGNS: Mapping[str, Callable[[float, float], bool]] = {">=": ge, "<=": le, ">": gt, "<": lt}
_FIX = "as `plan_exhausted` or `fallback_share > 0.4`; docs/how-to/telemetry.md lists all"
_WORDS = Vocabulary((*EVENTS, *FIGURES))


class Watched(Struct, frozen=True, kw_only=True):
    """A condition: an event where it has no sign."""

    about: str
    sign: str | None = None  # ">", ">=", "<" or "<="
    amount: float = 0.0

    def __str__(self) -> str:
        return self.about if self.sign is None else f"{self.about} {self.sign} {self.amount:g}"

    def holds(self, figure: float) -> bool:
        if self.about == "budget" and self.sign == ">":
            return figure >= self.amount  # nobody spends more than all of a budget
        return self.sign is not None and _SIGNS[self.sign](figure, self.amount)


def read_condition(condition: str) -> Watched | Problem:
    """The problem's path is empty."""
    sign = next((sign for sign in _SIGNS if sign in condition), None)
    name, _, written = condition.partition(sign or "\n")
    name, written = name.strip(), written.strip()
    if sign is None and name in EVENTS:
        return Watched(about=name)
    if name in EVENTS:
        return Problem(path="", message=f"`{name}` happens or does not: it has no amount", fix=f"write `{name}`")
    if name not in FIGURES:
        known = "" if name.isidentifier() else " (words are joined by `_`)"
        return Problem(path="", message=f"nothing is known as `{name}`{known}", fix=_WORDS.fix(name) or _FIX)
    if sign is None:
        fix = f"as `{name} > {_example(name)}`"
        return Problem(path="", message=f"`{name}` is a figure: of what amount is somebody told?", fix=fix)
    amount = _number(written)
    if amount is None or (name in SHARES and not 0 < amount <= 1):
        kind = "share between 0 and 1" if name in SHARES else "amount"
        return Problem(path="", message=f"`{condition}` names no {kind}", fix=f"as `{name} {sign} {_example(name)}`")
    if name in SHARES and amount == 1 and sign == ">" and name != "budget":
        return Problem(path="", message="no share is over 1: this never holds", fix=f"as `{name} > {_example(name)}`")
    return Watched(about=name, sign=sign, amount=amount)


def watched(alert: Alert) -> tuple[Watched, ...]:
    """The sound conditions."""
    return tuple(found for condition in alert.on if isinstance(found := read_condition(condition), Watched))


def alert_problems(path: str, alert: Alert, routes: Collection[str]) -> Iterator[Problem]:
    if alert.use != "log" and alert.url is None:
        kind = "a webhook" if alert.use == "webhook" else "Slack's incoming webhook"
        yield Problem(path=f"{path}.url", message=f"{kind} needs an address", fix="give `url: {env: NAME}`")
    if alert.use == "log" and alert.url is not None:
        yield Problem(path=f"{path}.url", message="the log has no address", fix="`use: webhook`, or remove it")
    if alert.use != "webhook" and alert.secret is not None:
        yield Problem(path=f"{path}.secret", message=f"`{alert.use}` signs nothing", fix="`use: webhook`, or remove it")
    if not alert.on:
        yield Problem(path=f"{path}.on", message="says nothing to tell of", fix=_FIX)
    for at, condition in enumerate(alert.on):
        found = read_condition(condition)
        if isinstance(found, Problem):
            yield Problem(path=f"{path}.on[{at}]", message=found.message, fix=found.fix)
    for at, route in enumerate(alert.routes):
        if route not in routes:
            fix = Vocabulary(sorted(routes)).fix(route)
            yield Problem(path=f"{path}.routes[{at}]", message=f"there is no route `{route}`", fix=fix)


def _number(written: str) -> float | None:
    try:
        amount = float(written)
    except ValueError:
        return None
    return amount if 0 <= amount < float("inf") else None


def _example(name: str) -> str:
    amount = "0.1" if name in SHARES else "2000" if name.endswith("_ms") else "5"
    return {"budget": "0.9", "fallback_share": "0.4"}.get(name, amount)
