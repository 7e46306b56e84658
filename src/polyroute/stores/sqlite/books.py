"""Reading the books: receipts, totals, entries and the check of the whole. Never writes.

Opens the file directly, also beside a running gateway, which writes on while this reads. What is settled is there
at once: what only a journal holds yet, of a living process or a dead one, is read as if it were in the file.
Synchronous: a server calls what reads many rows from a thread, with a `Books` of its own.
"""

import heapq
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Self

import msgspec

from polyroute.stores.figures import Figures, Observation, add_up
from polyroute.stores.journal.files import is_live, journal_paths, read_journal
from polyroute.stores.journal.lines import Contents, OpenRequest, decode_receipt
from polyroute.stores.recovery import in_flight
from polyroute.stores.rows import attempt_row, request_row, to_micros
from polyroute.stores.sqlite.booking import book
from polyroute.stores.sqlite.files import connect, migrate, roll_back, store_error
from polyroute.stores.sqlite.queries import load_queries
from polyroute.stores.verify import Entry, Finding, FindingKind, check_entry
from polyroute.types.money import from_nanos
from polyroute.types.receipt import Receipt, Spent

_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)
_PATIENCE_S = 5.0
_MAX_FAULTS = 100  # that an integrity check reports
_ERRORS = frozenset({"failed", "unknown", "recovered"})


class Books:
    """Raises StoreError where the file is missing, damaged or not a ledger."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queries = load_queries()
        self._connection = connect(path, patience_s=_PATIENCE_S, must_exist=True)
        with self._reading():
            self._connection.execute("PRAGMA query_only = ON")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def receipt(self, request_id: str) -> Receipt | None:
        """The receipt as settled; of a request still in flight, what is known of it."""
        found = self.settled(request_id)
        if found is not None:
            return found
        journals = [read_journal(path, about=request_id) for path in journal_paths(journals_folder(self._path))]
        for contents in journals:
            for entry in contents.settled:
                if entry.settlement.request_id == request_id:
                    return entry.settlement.receipt
        found = self.settled(request_id)  # it may have moved from the journal to the file between the two looks
        if found is not None:
            return found
        for contents in journals:
            for request in contents.requests:
                if request.opening.request_id == request_id:
                    return in_flight(request.opening, request.later)
        return None

    def settled(self, request_id: str) -> Receipt | None:
        """The receipt where it is in the file. One look, and none into journals."""
        with self._reading():
            found = self._connection.execute(self._queries.find_receipt, (request_id,)).fetchone()
        return None if found is None else decode_receipt(found[0])

    def recent(self, limit: int = 50, *, before: datetime = _NEVER) -> list[Receipt]:
        """Settled requests, the newest first."""
        with self._one_state() as state:
            receipts = [
                decode_receipt(body) for (body,) in state.rows(self._queries.list_recent, to_micros(before), limit)
            ]
        receipts.sort(key=lambda receipt: (receipt.time, receipt.request_id), reverse=True)
        return receipts[:limit]

    def open_requests(self, limit: int = 50) -> list[Receipt]:
        """Requests in flight, or left by a process that died, the newest first."""
        requests = [request for contents in self._journals() for request in contents.requests if not self._has(request)]
        requests.sort(key=lambda request: request.opening.opened_at, reverse=True)
        return [in_flight(request.opening, request.later) for request in requests[:limit]]

    def spent_since(self, start: datetime) -> list[Spent]:
        """Per tenant, team, user, key and model: what requests that arrived at or after `start` have cost."""
        sums: dict[tuple[str, str, str, str | None, str], int] = {}
        with self._one_state() as state:
            for *names, nanos in state.rows(self._queries.sum_spent, to_micros(start)):
                tenant, team, user, key_id, model = names
                sums[tenant, team, user, key_id, model] = sums.get((tenant, team, user, key_id, model), 0) + nanos
        return [
            Spent(tenant=tenant, team=team, user=user, key_id=key_id, model=model, cost_usd=from_nanos(nanos))
            for (tenant, team, user, key_id, model), nanos in sums.items()
        ]

    def by_model(self, since: datetime = _EVER) -> list[Figures]:
        """Per model: its attempts, and what the requests it answered have saved."""
        with self._one_state() as state:
            saved: dict[str, int] = {}
            for _, model, _, _, _, saved_nanos, *_ in state.rows(self._queries.list_request_figures, to_micros(since)):
                if model is not None:
                    saved[model] = saved.get(model, 0) + (saved_nanos or 0)
            rows = state.rows(self._queries.list_attempt_figures, to_micros(since))
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
            rows = state.rows(self._queries.list_request_figures, to_micros(since))
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
                *(self._entries(connection, since, until) for connection in state.connections),
                key=lambda entry: (entry.request.opened_us, entry.request.id),
            )

    def _entries(self, connection: sqlite3.Connection, since: datetime, until: datetime) -> Iterator[Entry]:
        queries = self._queries
        for values in connection.execute(queries.list_requests, (to_micros(since), to_micros(until))):
            request = request_row(values)
            attempts = connection.execute(queries.list_attempts, (request.id,)).fetchall()
            receipt = connection.execute(queries.find_receipt, (request.id,)).fetchone()
            yield Entry(
                request=request,
                attempts=tuple(attempt_row(attempt) for attempt in attempts),
                receipt=_readable(receipt[0]) if receipt else None,
            )

    def verify(self) -> list[Finding]:
        """Everything wrong in the books; empty where they balance."""
        findings = [_finding("damaged_file", None, fault) for fault in self._faults()]
        if findings:
            return findings
        for entry in self.entries():
            findings += check_entry(entry)
        with self._one_state() as state:
            for request_id, attempt_id in state.rows(self._queries.find_stray_attempts):
                findings.append(_finding("stray_row", request_id, f"attempt {attempt_id} has no request"))
            for (request_id,) in state.rows(self._queries.find_stray_receipts):
                findings.append(_finding("stray_row", request_id, "a receipt without a request"))
            for attempt_id, count in state.rows(self._queries.find_shared_attempts):
                findings.append(_finding("attempt_shared", None, f"attempt {attempt_id} is in {count} requests"))
        for path in journal_paths(journals_folder(self._path)):
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
        return [read_journal(path) for path in journal_paths(journals_folder(self._path))]

    def _has(self, request: OpenRequest) -> bool:
        with self._reading():
            return self._is_settled(request.opening.request_id)

    def _is_settled(self, request_id: str) -> bool:
        return self._connection.execute(self._queries.is_settled, (request_id,)).fetchone() is not None

    def _faults(self) -> list[str]:
        try:
            rows = self._connection.execute(f"PRAGMA integrity_check({_MAX_FAULTS})").fetchall()
        except sqlite3.DatabaseError as fault:
            return [str(store_error(fault, self._path))]
        return [str(fault) for (fault,) in rows if fault != "ok"]

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as fault:
            raise store_error(fault, self._path) from fault

    @contextmanager
    def _one_state(self) -> Iterator["_State"]:
        """The books as they were at one moment."""
        # The journals first: what is booked between the two looks is then found in the file.
        settled = [entry for contents in self._journals() for entry in contents.settled]
        with self._reading(), closing(sqlite3.connect(":memory:", isolation_level=None)) as margin:
            self._connection.execute("BEGIN")
            try:
                unbooked = [entry for entry in settled if not self._is_settled(entry.settlement.request_id)]
                if unbooked:
                    migrate(margin, self._path)
                    book(margin, self._path, self._queries, unbooked)
                    yield _State((self._connection, margin))
                else:
                    yield _State((self._connection,))
            finally:
                roll_back(self._connection)


@dataclass(frozen=True)
class _State:
    connections: tuple[sqlite3.Connection, ...]  # the file; and, where there is any, what is not in it yet

    def rows(self, query: str, *given: object) -> Iterator[tuple[Any, ...]]:
        return chain.from_iterable(connection.execute(query, given) for connection in self.connections)


def journals_folder(path: Path) -> Path:
    """Where the processes that write the books at `path` keep their journals."""
    return path.with_name(path.name + "-journals")


def _readable(body: bytes) -> Receipt | None:
    try:
        return decode_receipt(body)
    except msgspec.MsgspecError:
        return None


def _finding(kind: FindingKind, request_id: str | None, message: str) -> Finding:
    return Finding(kind=kind, request_id=request_id, message=message)
