"""`stores`: a real Valkey and a real PostgreSQL on a unix socket: what a leave, a hold and a booked row take.

CPU is this process's own, the servers' not counted; time is by the clock.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from tests.rig.servers import postgres, valkey

from bench.figures import spread
from bench.report import Section, table
from polyroute.state.accounts.allowances import Allowances, Budget, Rates
from polyroute.state.accounts.budgets import Period
from polyroute.state.accounts.shared import SharedAccounts, Spending
from polyroute.stores.postgres.store import PostgresStore
from polyroute.stores.shared.counters import RedisCounters
from polyroute.stores.shared.resp import parse_place
from polyroute.testing.stores import a_settlement, an_opening
from polyroute.types.access import Caller

ROUNDS = 7
CALLS = 400  # a round
ROWS = 2_000
_CALLER = Caller(user="ann", team="platform", key_id="bench")
_NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
_WORST_USD, _COST_USD = Decimal("0.002"), Decimal("0.00075")

Row = tuple[str, str, str, str]


def stores() -> Section:
    rows = [*asyncio.run(_shared()), asyncio.run(_postgres())]
    return Section(
        name="stores",
        title="Stores that replicas share (one machine, unix sockets)",
        n="as listed",
        text=table(("piece", "CPU us per call, median of rounds (min–max)", "us by the clock", "n"), rows),
        figures={"stores": rows},
    )


async def _nothing_spent(starts: Mapping[Period, datetime]) -> Spending:
    return Spending(since={period: [] for period in starts})


async def _shared() -> list[Row]:
    with valkey() as server:
        accounts = SharedAccounts(
            Allowances(
                per_user=Rates(requests_per_minute=100_000_000, tokens_per_minute=1_000_000_000),
                team_budget=Budget(daily_usd=Decimal(1_000_000)),
            ),
            RedisCounters(parse_place(server.url), "bench", grace_s=0.0),
            read_spending=_nothing_spent,
            when_away="refuse",
            replicas=1,
            monotonic=time.monotonic,
            utc_now=lambda: _NOW,
        )
        await accounts.start()

        async def enter() -> None:
            accounts.correct(await accounts.enter(_CALLER, 200, time.monotonic()), 150)

        async def hold() -> None:
            (await accounts.reserve(_CALLER, "m", _WORST_USD, _NOW)).settle(_COST_USD)

        try:
            return [
                await _timed(f"{name}, {together} at once", call, together)
                for name, call in (
                    ("two rate windows: enter, then correct", enter),
                    ("one budget: hold, then settle", hold),
                )
                for together in (1, 64)
            ]
        finally:
            await accounts.aclose()


async def _postgres() -> Row:
    with postgres() as server, tempfile.TemporaryDirectory() as folder:
        server.run("CREATE DATABASE bench")
        ledger = PostgresStore(server.url("bench"), Path(folder)).open_ledger("process")
        await ledger.recover(_NOW)
        numbers, cpu_us, clock_us = itertools.count(), [], []
        for _ in range(ROUNDS):
            names = [f"r{next(numbers)}" for _ in range(ROWS)]
            for name in names:
                await ledger.open(an_opening(name))
            began_cpu, began = time.process_time(), time.perf_counter()
            for name in names:
                await ledger.settle(a_settlement(name))
            await ledger.drain()
            cpu_us.append((time.process_time() - began_cpu) * 1e6 / ROWS)
            clock_us.append((time.perf_counter() - began) * 1e6 / ROWS)
        await ledger.aclose()
    return "PostgreSQL: settle and book", spread(cpu_us).text(0), spread(clock_us).text(0), f"{ROUNDS} x {ROWS}"


async def _timed(name: str, call: Callable[[], Awaitable[None]], together: int) -> Row:
    async def many(calls: int) -> None:
        for _ in range(calls):
            await call()

    await many(50)
    each = max(CALLS // together, 10)
    cpu_us, clock_us = [], []
    for _ in range(ROUNDS):
        began_cpu, began = time.process_time(), time.perf_counter()
        await asyncio.gather(*(many(each) for _ in range(together)))
        cpu_us.append((time.process_time() - began_cpu) * 1e6 / (each * together))
        clock_us.append((time.perf_counter() - began) * 1e6 / (each * together))
    return name, spread(cpu_us).text(0), spread(clock_us).text(0), f"{ROUNDS} x {each * together}"
