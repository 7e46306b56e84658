"""Reading the books: receipts, totals, entries and the check of the whole. Never writes.

Reads the database directly, also beside a running gateway, which writes on while this reads. What is settled is there
at once: what only a journal of this machine holds yet, of a living process or a dead one, is read as if it were booked.
Synchronous: a server calls what reads many rows from a thread, with `Books` of its own.
"""

import heapq
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, Self

import msgspec

from polyroute.stores.expiry import Going
from polyroute.stores.figures import Figures, Observation, add_up
from polyroute.stores.hits import CacheLine
from polyroute.stores.journal.files import is_live, journal_paths, read_journal
from polyroute.stores.journal.lines import Contents, OpenRequest, Settled
from polyroute.stores.packing import kept_receipt
from polyroute.stores.queries import Queries
from polyroute.stores.reconcile import Billed
from polyroute.stores.recovery import in_flight
from polyroute.stores.rows import to_micros
from polyroute.stores.usage import Usage, day_of
from polyroute.stores.verify import Entry, Finding, FindingKind, check_entry
from polyroute.types.money import ZERO_USD, from_nanos
from polyroute.types.receipt import Receipt, Spent

_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)
_BILLED = Billed.__struct_fields__
_ERRORS = frozenset({"failed", "unknown", "recovered"})


class Page(Protocol):
    """One database, as it was at one moment. Queries are named as in `Queries`."""

    def rows(self, query: str, *given: object) -> Iterator[tuple[Any, ...]]: ...

    def entries(self, since_us: int, until_us: int) -> Iterator[Entry]:
        """Of [since, until), by time and id."""


class State:
    """The books at one moment: the database; and, where there is any, what is not in it yet."""

    def __init__(self, *pages: Page) -> None:
        self.pages = pages

    def rows(self, query: str, *given: object) -> Iterator[tuple[Any, ...]]:
        return chain.from_iterable(page.rows(query, *given) for page in self.pages)


class Books(ABC):
    """Raises StoreError where the database is missing, away, damaged or not a ledger."""

    def __init__(self, journals: Path) -> None:
        self._journals_folder = journals

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def one_state(self, settled: Sequence[Settled]) -> AbstractContextManager[State]:
        """The books as they are, with those of `settled` that they have not got yet."""

    @abstractmethod
    def faults(self) -> list[str]:
        """What the database finds wrong with itself."""

    @abstractmethod
    def settled(self, request_id: str) -> Receipt | None:
        """The receipt where it is in the database. One look, and none into journals."""

    @abstractmethod
    def booked_among(self, request_ids: Sequence[str]) -> set[str]:
        """Those whose settlement is in the database."""

    def receipt(self, request_id: str) -> Receipt | None:
        """The receipt as settled; of a request still in flight, what is known of it."""
        found = self.settled(request_id)
        if found is not None:
            return found
        journals = [read_journal(path, about=request_id) for path in journal_paths(self._journals_folder)]
        for contents in journals:
            for entry in contents.settled:
                if entry.settlement.request_id == request_id:
                    return entry.settlement.receipt
        found = self.settled(request_id)  # it may have moved from the journal to the database between the two looks
        if found is not None:
            return found
        for contents in journals:
            for request in contents.requests:
                if request.opening.request_id == request_id:
                    return in_flight(request.opening, request.later)
        return None

    def recent(self, limit: int = 50, *, before: datetime = _NEVER) -> list[Receipt]:
        """Settled requests, the newest first."""
        with self._one_state() as state:
            receipts = [kept_receipt(body) for (body,) in state.rows("list_recent", to_micros(before), limit)]
        receipts.sort(key=lambda receipt: (receipt.time, receipt.request_id), reverse=True)
        return receipts[:limit]

    def open_requests(self, limit: int = 50) -> list[Receipt]:
        """Requests in flight, or left by a process that died, the newest first."""
        requests = [request for contents in self._journals() for request in contents.requests if not self._has(request)]
        requests.sort(key=lambda request: request.opening.opened_at, reverse=True)
        return [in_flight(request.opening, request.later) for request in requests[:limit]]

    def spent_since(self, start: datetime) -> list[Spent]:
        """Per tenant, team, user, key and deployment: what requests that arrived at or after `start` have cost."""
        sums: dict[Spent, Decimal] = {}
        for _, spent in self.spent_by_replica(start):
            whose = msgspec.structs.replace(spent, cost_usd=ZERO_USD)
            sums[whose] = sums.get(whose, ZERO_USD) + spent.cost_usd
        return [msgspec.structs.replace(whose, cost_usd=cost_usd) for whose, cost_usd in sums.items()]

    def spent_by_replica(self, start: datetime) -> list[tuple[str, Spent]]:
        """The same for each process that settled them; "" for rows that do not know theirs."""
        sums: dict[tuple[Any, ...], int] = {}
        with self._one_state() as state:
            for *names, nanos in state.rows("sum_spent", to_micros(start)):
                sums[tuple(names)] = sums.get(tuple(names), 0) + nanos
        return [
            (
                replica or "",
                Spent(
                    tenant=tenant,
                    team=team,
                    user=user,
                    key_id=key_id,
                    model=model,
                    deployment=deployment,
                    provider=provider,
                    cost_usd=from_nanos(nanos),
                ),
            )
            for (replica, tenant, team, user, key_id, model, deployment, provider), nanos in sums.items()
        ]

    def usage(self, since: datetime = _EVER, until: datetime = _NEVER) -> list[Usage]:
        """Per caller, model, provider and day, of requests that arrived in [since, until)."""
        with self._one_state() as state:
            return [
                Usage(
                    tenant=tenant,
                    team=team,
                    user=user,
                    key=key_id,
                    model=model,
                    provider=provider,
                    day=day_of(day),
                    calls=calls,
                    failed=failed,
                    unpriced=unpriced,
                    input_tokens=input_tokens,
                    output_tokens=output_tokens,
                    cost_usd=from_nanos(nanos),
                )
                for (
                    tenant, team, user, key_id, model, provider, day, calls, failed, unpriced, input_tokens,
                    output_tokens, nanos,
                ) in state.rows("sum_usage", to_micros(since), to_micros(until))
            ]  # fmt: skip

    def caches(self, since: datetime = _EVER) -> list[CacheLine]:
        """Per tenant, route and what its cache did, of requests that arrived since and were answered."""
        with self._one_state() as state:
            return [
                CacheLine(
                    tenant=tenant,
                    route=route,
                    cache=cache,
                    requests=requests,
                    cost_usd=from_nanos(cost_nanos),
                    saved_usd=from_nanos(saved_nanos),
                )
                for tenant, route, cache, requests, cost_nanos, saved_nanos in state.rows(
                    "sum_caches", to_micros(since)
                )
            ]

    def billed(
        self, since: datetime = _EVER, until: datetime = _NEVER, *, tenant: str | None = None
    ) -> Generator[Billed, None, None]:
        """Every call of requests that arrived in [since, until), in no order."""
        with self._one_state() as state:
            for day, whose, *names, has_usage, nanos in state.rows("list_billed", to_micros(since), to_micros(until)):
                if tenant in (None, whose):
                    cost_usd = None if nanos is None else from_nanos(nanos)
                    yield Billed(
                        **dict(zip(_BILLED, (day_of(day), whose, *names, bool(has_usage), cost_usd), strict=True))
                    )

    def by_model(self, since: datetime = _EVER) -> list[Figures]:
        """Per model: its attempts, and what the requests it answered have saved."""
        with self._one_state() as state:
            saved: dict[str, int] = {}
            for _, model, _, _, _, saved_nanos, *_ in state.rows("list_request_figures", to_micros(since)):
                if model is not None:
                    saved[model] = saved.get(model, 0) + (saved_nanos or 0)
            rows = state.rows("list_attempt_figures", to_micros(since))
            return add_up(
                (
                    Observation(
                        name=model,
                        is_error=status in _ERRORS,
                        is_priced=nanos is not None,
                        input_tokens=input_tokens,
                        output_tokens=output_tokens,
                        cost_nanos=nanos or 0,
                        saved_nanos=0,
                        duration_ms=duration_ms,
                    )
                    for model, status, nanos, duration_ms, input_tokens, output_tokens in rows
                ),
                saved,
            )

    def by_route(self, since: datetime = _EVER) -> list[Figures]:
        """Per route: its requests."""
        with self._one_state() as state:
            rows = state.rows("list_request_figures", to_micros(since))
            return add_up(
                Observation(
                    name=route,
                    is_error=state in _ERRORS,
                    is_priced=bool(is_complete),
                    input_tokens=input_tokens,
                    output_tokens=output_tokens,
                    cost_nanos=nanos,
                    saved_nanos=saved_nanos or 0,
                    duration_ms=total_ms,
                )
                for route, _, state, nanos, is_complete, saved_nanos, total_ms, input_tokens, output_tokens in rows
            )

    def entries(self, since: datetime = _EVER, until: datetime = _NEVER) -> Generator[Entry, None, None]:
        """Settled requests that arrived in [since, until), the oldest first, all of one moment's state."""
        with self._one_state() as state:
            yield from heapq.merge(
                *(page.entries(to_micros(since), to_micros(until)) for page in state.pages),
                key=lambda entry: (entry.request.opened_us, entry.request.id),
            )

    def past(self, going: Going) -> int:
        """How many of its kind are past their time, and there still."""
        query = {"receipts": "count_receipts", "ledger": "count_requests", "notes": "count_notes"}[going.kind]
        with self._one_state() as state:
            return sum(count for (count,) in state.rows(query, to_micros(going.before)))

    def verify(self) -> list[Finding]:
        """Everything wrong in the books; empty where they balance."""
        findings = [_finding("damaged_file", None, fault) for fault in self.faults()]
        if findings:
            return findings
        with self._one_state() as state:  # first: what goes meanwhile is not missing
            receipts_from_us = max((before_us for (before_us,) in state.rows("expired_before", "receipts")), default=0)
        for entry in self.entries():
            findings += check_entry(entry, receipts_from_us=receipts_from_us)
        with self._one_state() as state:
            for request_id, attempt_id in state.rows("find_stray_attempts"):
                findings.append(_finding("stray_row", request_id, f"attempt {attempt_id} has no request"))
            for (request_id,) in state.rows("find_stray_receipts"):
                findings.append(_finding("stray_row", request_id, "a receipt without a request"))
            for attempt_id, count in state.rows("find_shared_attempts"):
                findings.append(_finding("attempt_shared", None, f"attempt {attempt_id} is in {count} requests"))
        for path in journal_paths(self._journals_folder):
            if not is_live(path):
                findings += [
                    _finding(
                        "left_open",
                        request.opening.request_id,
                        "its process died; `polyroute ledger recover` closes it",
                    )
                    for request in read_journal(path).requests
                    if not self._has(request)
                ]
        return findings

    def _journals(self) -> list[Contents]:
        return [read_journal(path) for path in journal_paths(self._journals_folder)]

    def _has(self, request: OpenRequest) -> bool:
        return bool(self.booked_among([request.opening.request_id]))

    def _one_state(self) -> AbstractContextManager[State]:
        # The journals first: what is booked between the two looks is then found in the database.
        return self.one_state([entry for contents in self._journals() for entry in contents.settled])


def unbooked_of(settled: Sequence[Settled], booked_among: Callable[[Sequence[str]], set[str]]) -> list[Settled]:
    """Each request once, where it is not booked."""
    by_id = {entry.settlement.request_id: entry for entry in settled}
    booked = booked_among(list(by_id)) if by_id else set()
    return [entry for request_id, entry in by_id.items() if request_id not in booked]


def query_named(queries: Queries, name: str) -> str:
    query: str = getattr(queries, name)
    return query


def _finding(kind: FindingKind, request_id: str | None, message: str) -> Finding:
    return Finding(kind=kind, request_id=request_id, message=message)
