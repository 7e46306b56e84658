"""Reading the books: receipts, totals, entries and the check of the whole. Never writes.

Opens the file directly, also beside a running gateway, which writes on while this reads. Synchronous: a server
calls what reads many rows from a thread, with a `Books` of its own.
"""

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import msgspec

from polyroute.stores.figures import Figures, Observation, add_up
from polyroute.stores.journal import OpenRequest, is_live, journal_paths, read_journal
from polyroute.stores.recovery import in_flight
from polyroute.stores.rows import attempt_row, request_row, to_micros
from polyroute.stores.sqlite.files import connect, roll_back, store_error
from polyroute.stores.sqlite.queries import load_queries
from polyroute.stores.sqlite.writes import decode_receipt
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
        # The journals first: what is settled between the two looks is then found in the books.
        unsettled = [request for request in self._journalled() if request.opening.request_id == request_id]
        with self._reading():
            found = self._connection.execute(self._queries.find_receipt, (request_id,)).fetchone()
        if found is not None:
            return decode_receipt(found[0])
        return in_flight(unsettled[0].opening, unsettled[0].later) if unsettled else None

    def recent(self, limit: int = 50, *, before: datetime = _NEVER) -> list[Receipt]:
        """Settled requests, the newest first."""
        with self._reading():
            rows = self._connection.execute(self._queries.list_recent, (to_micros(before), limit)).fetchall()
        return [decode_receipt(body) for (body,) in rows]

    def open_requests(self, limit: int = 50) -> list[Receipt]:
        """Requests in flight, or left by a process that died, the newest first."""
        requests = [request for request in self._journalled() if not self._is_settled(request)]
        requests.sort(key=lambda request: request.opening.opened_at, reverse=True)
        return [in_flight(request.opening, request.later) for request in requests[:limit]]

    def spent_since(self, start: datetime) -> list[Spent]:
        """Per tenant, team, user, key and model: what requests that arrived at or after `start` have cost."""
        with self._reading():
            rows = self._connection.execute(self._queries.sum_spent, (to_micros(start),)).fetchall()
        return [
            Spent(tenant=tenant, team=team, user=user, key_id=key_id, model=model, cost_usd=from_nanos(nanos))
            for tenant, team, user, key_id, model, nanos in rows
        ]

    def by_model(self, since: datetime = _EVER) -> list[Figures]:
        """Per model: its attempts, and what the requests it answered have saved."""
        with self._reading(), self._one_state():
            saved: dict[str, int] = {}
            for _, model, _, _, _, saved_nanos, *_ in self._connection.execute(
                self._queries.list_request_figures, (to_micros(since),)
            ):
                if model is not None:
                    saved[model] = saved.get(model, 0) + (saved_nanos or 0)
            rows = self._connection.execute(self._queries.list_attempt_figures, (to_micros(since),))
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
        with self._reading():
            rows = self._connection.execute(self._queries.list_request_figures, (to_micros(since),))
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
        with self._reading(), self._one_state():
            requests = self._connection.execute(self._queries.list_requests, (to_micros(since), to_micros(until)))
            for values in requests:
                request = request_row(values)
                attempts = self._connection.execute(self._queries.list_attempts, (request.id,)).fetchall()
                receipt = self._connection.execute(self._queries.find_receipt, (request.id,)).fetchone()
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
        with self._reading(), self._one_state():
            execute = self._connection.execute
            for request_id, attempt_id in execute(self._queries.find_stray_attempts):
                findings.append(_finding("stray_row", request_id, f"attempt {attempt_id} has no request"))
            for (request_id,) in execute(self._queries.find_stray_receipts):
                findings.append(_finding("stray_row", request_id, "a receipt without a request"))
            for attempt_id, count in execute(self._queries.find_shared_attempts):
                findings.append(_finding("attempt_shared", None, f"attempt {attempt_id} is in {count} requests"))
        for path in journal_paths(journals_folder(self._path)):
            if not is_live(path):
                findings += [
                    _finding(
                        "left_open",
                        request.opening.request_id,
                        "its process died; `polyroute ledger recover` closes it",
                    )
                    for request in read_journal(path)
                    if not self._is_settled(request)
                ]
        return findings

    def _journalled(self) -> list[OpenRequest]:
        return [request for path in journal_paths(journals_folder(self._path)) for request in read_journal(path)]

    def _is_settled(self, request: OpenRequest) -> bool:
        with self._reading():
            found = self._connection.execute(self._queries.is_settled, (request.opening.request_id,)).fetchone()
        return found is not None

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
    def _one_state(self) -> Iterator[None]:
        """All reads inside see the books of the same moment."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            roll_back(self._connection)


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
