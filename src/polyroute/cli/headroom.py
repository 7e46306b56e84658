"""What gives way first as the load grows: each ceiling that is known, against the busiest moment in the books. Pure.

A multiple is how many times that moment would reach the ceiling, all requests growing alike. What nobody declared
cannot be told, and is named as unknown.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from polyroute.config.document import Budget, Document, Model, Pace
from polyroute.config.resolve import placements
from polyroute.stores.rows import AttemptRow
from polyroute.stores.verify import Entry
from polyroute.types.money import from_nanos

Kind = Literal["quota", "budget", "own limit", "connections", "descriptors", "process", "disk"]

_MINUTE_US, _DAY_US = 60_000_000, 86_400_000_000
_DAYS = {"daily_usd": 1, "weekly_usd": 7, "monthly_usd": 30}
_DISK_DAYS = 30.0  # a disk that lasts less is one to see to
_PER_REQUEST = 2  # descriptors: the caller's connection and the provider's
_TOO_MANY = 429


class Ceiling(Struct, frozen=True, kw_only=True):
    what: str
    kind: Kind
    peak: str  # the busiest moment seen
    limit: str
    multiple: float | None  # None: not known
    note: str = ""


class Machine(Struct, frozen=True, kw_only=True):
    """What the process and the disk allow."""

    connections: int
    descriptors: int
    store_bytes: int | None = None  # None: it is on another machine
    free_bytes: int = 0


class _Call(Struct, frozen=True):
    at_us: int
    until_us: int
    tokens: int
    cost_nanos: int


def headroom(document: Document, entries: Sequence[Entry], machine: Machine) -> list[Ceiling]:
    """What gives way first comes first; what is not known comes last."""
    if not entries:
        return []
    calls = [(entry, row, _call(entry, row)) for entry in entries for row in entry.attempts]
    found = [*_upstream(document, calls), *_callers(document, entries), *_itself(document, entries, machine)]
    return sorted(found, key=lambda ceiling: (ceiling.multiple is None, ceiling.multiple or 0.0, ceiling.what))


def _upstream(document: Document, calls: list[tuple[Entry, AttemptRow, _Call]]) -> Iterator[Ceiling]:
    def of(kind: str, names: Callable[[AttemptRow], str]) -> dict[str, list[_Call]]:
        grouped: dict[str, list[_Call]] = defaultdict(list)
        for _, row, call in calls:
            grouped[names(row)].append(call)
        return {f"{kind} {name}": found for name, found in grouped.items()}

    providers = of("provider", lambda row: row.provider)
    models, deployments = of("model", lambda row: row.model), of("deployment", lambda row: row.deployment)
    refused = {row.provider for _, row, _ in calls if row.http_status == _TOO_MANY}
    for name, provider in document.providers.items():
        seen = providers.get(f"provider {name}", [])
        yield from _paced(f"provider {name}", provider.limits, seen, "quota")
        yield from _budgeted(f"provider {name}", provider.budget, seen)
        if seen and provider.limits == Pace():
            note = "it has answered 429 already" if name in refused else ""
            note = f"{note}; " if note else ""
            yield Ceiling(
                what=f"provider {name}: its own quota",
                kind="quota",
                peak=f"{_busiest(seen, lambda call: 1)} requests a minute",
                limit="not declared",
                multiple=1.0 if name in refused else None,
                note=f"{note}declare it: providers.{name}.limits",
            )
    for name, model in document.models.items():
        if isinstance(model, Model):
            yield from _paced(f"model {name}", model.limits, models.get(f"model {name}", []), "quota")
            yield from _budgeted(f"model {name}", model.budget or Budget(), models.get(f"model {name}", []))
    for name, place in placements(document):
        yield from _paced(f"deployment {name}", place.limits, deployments.get(f"deployment {name}", []), "quota")
        yield from _budgeted(f"deployment {name}", place.budget, deployments.get(f"deployment {name}", []))


def _callers(document: Document, entries: Sequence[Entry]) -> Iterator[Ceiling]:
    def of(names: Callable[[Entry], str | None]) -> dict[str, list[_Call]]:
        grouped: dict[str, list[_Call]] = defaultdict(list)
        for entry in entries:
            if (name := names(entry)) is not None:
                grouped[name].append(_request(entry))
        return grouped

    limits = document.limits
    users, teams = of(lambda entry: entry.request.user), of(lambda entry: entry.request.team)
    for kind, grouped in (("user", users), ("team", teams)):
        pace = Pace(
            per_minute=getattr(limits, f"per_{kind}_per_minute"),
            tokens_per_minute=getattr(limits, f"per_{kind}_tokens_per_minute"),
            parallel=getattr(limits, f"per_{kind}_parallel"),
        )
        budget = Budget(
            daily_usd=getattr(limits, f"per_{kind}_daily_usd"),
            weekly_usd=getattr(limits, f"per_{kind}_weekly_usd"),
            monthly_usd=getattr(limits, f"per_{kind}_monthly_usd"),
        )
        for name, seen in grouped.items():
            yield from _paced(f"{kind} {name}", pace, seen, "own limit")
            yield from _budgeted(f"{kind} {name}", budget, seen)
    keys = of(lambda entry: entry.request.key_id)
    for key in document.keys:
        yield from _paced(f"key {key.name}", key.limits, keys.get(key.name, []), "own limit")
        yield from _budgeted(f"key {key.name}", key.budget, keys.get(key.name, []))
    for name, team in document.teams.items():
        yield from _paced(f"team {name} (its own)", team.limits, teams.get(name, []), "own limit")
        yield from _budgeted(f"team {name} (its own)", team.budget, teams.get(name, []))


def _itself(document: Document, entries: Sequence[Entry], machine: Machine) -> Iterator[Ceiling]:
    requests = [_request(entry) for entry in entries]
    at_once = _at_once(requests)
    seen = f"{at_once} requests at once"
    if document.limits.parallel is not None:
        yield _ceiling("limits.parallel", "own limit", seen, at_once, document.limits.parallel, "requests at once")
    yield _ceiling(
        "connections of callers", "connections", seen, at_once, machine.connections, "connections to one process"
    )
    yield _ceiling(
        "file descriptors", "descriptors", seen, at_once * _PER_REQUEST, machine.descriptors, "(`ulimit -n`)"
    )
    work_ms = sorted(entry.request.overhead_ms for entry in entries)[len(entries) // 2]
    a_second = _busiest(requests, lambda call: 1, 1_000_000)
    if work_ms > 0:
        yield _ceiling(
            "the gateway's own work",
            "process",
            f"{a_second} requests a second",
            a_second,
            1000 / work_ms,
            f"requests a second and process, roughly, at {work_ms:.2f} ms each",
        )
    yield from _disk(requests, machine)


def _disk(requests: list[_Call], machine: Machine) -> Iterator[Ceiling]:
    if machine.store_bytes is None:
        return
    a_day = _busiest(requests, lambda call: 1, _DAY_US)
    grown = machine.store_bytes / len(requests) * a_day  # bytes a day; too much where the books are young
    days = machine.free_bytes / grown if grown else float("inf")
    yield Ceiling(
        what="disk of the store",
        kind="disk",
        peak=f"{grown / 1e6:,.1f} MB a day",
        limit=f"{machine.free_bytes / 1e9:,.1f} GB free, {days:,.0f} days of it",
        multiple=round(days / _DISK_DAYS, 2),
        note=f"where it would last {_DISK_DAYS:g} days",
    )


def _paced(what: str, pace: Pace, calls: list[_Call], kind: Kind) -> Iterator[Ceiling]:
    if not calls:
        return
    if pace.per_minute is not None:
        peak = _busiest(calls, lambda call: 1)
        yield _ceiling(what, kind, f"{peak} requests a minute", peak, pace.per_minute, "a minute")
    if pace.tokens_per_minute is not None:
        peak = _busiest(calls, lambda call: call.tokens)
        yield _ceiling(what, kind, f"{peak:,} tokens a minute", peak, pace.tokens_per_minute, "a minute")
    if pace.parallel is not None:
        peak = _at_once(calls)
        yield _ceiling(what, kind, f"{peak} at once", peak, pace.parallel, "at once")


def _budgeted(what: str, budget: Budget, calls: list[_Call]) -> Iterator[Ceiling]:
    """A day is the dearest one seen; a week and a month are so many of the days on average."""
    if not calls:
        return
    dearest = from_nanos(_busiest(calls, lambda call: call.cost_nanos, _DAY_US))
    days = max(1, len({call.at_us // _DAY_US for call in calls}))
    mean = from_nanos(sum(call.cost_nanos for call in calls)) / days
    for period, length in _DAYS.items():
        limit: Decimal | None = getattr(budget, period)
        if limit is not None:
            spent = dearest if length == 1 else mean * length
            name = period.removesuffix("_usd")
            yield Ceiling(
                what=f"{what}: {name} budget",
                kind="budget",
                peak=f"{spent:.4f} USD",
                limit=f"{limit} USD",
                multiple=round(float(limit / spent), 2) if spent else None,
            )


def _ceiling(what: str, kind: Kind, seen: str, peak: float, limit: float, unit: str) -> Ceiling:
    return Ceiling(
        what=what, kind=kind, peak=seen, limit=f"{limit:,.0f} {unit}", multiple=round(limit / peak, 2) if peak else None
    )


def _busiest(calls: Iterable[_Call], weight: Callable[[_Call], int], window_us: int = _MINUTE_US) -> int:
    sums: dict[int, int] = defaultdict(int)
    for call in calls:
        sums[call.at_us // window_us] += weight(call)
    return max(sums.values(), default=0)


def _at_once(calls: Iterable[_Call]) -> int:
    turns = sorted(turn for call in calls for turn in ((call.at_us, 1), (max(call.until_us, call.at_us + 1), -1)))
    most = now = 0
    for _, change in turns:
        now += change
        most = max(most, now)
    return most


def _call(entry: Entry, row: AttemptRow) -> _Call:
    at_us = entry.request.opened_us + int(row.started_ms * 1000)
    return _Call(at_us, at_us + int(row.duration_ms * 1000), _tokens(row), row.cost_nanos or 0)


def _request(entry: Entry) -> _Call:
    request = entry.request
    until_us = request.opened_us + int(request.total_ms * 1000)
    return _Call(request.opened_us, until_us, sum(map(_tokens, entry.attempts)), request.cost_nanos)


def _tokens(row: AttemptRow) -> int:
    counts = (row.input_tokens, row.cached_input_tokens, row.cache_write_tokens, row.output_tokens)
    return sum(count or 0 for count in counts)
