"""One simulated gateway process: the real path, desk, books and idempotency, on made-up clocks, disks and providers."""

import asyncio
import contextvars
import random
import sqlite3
import threading
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, Protocol, cast

from msgspec import Struct
from msgspec.structs import replace
from tests.simulation.disk import Disk, SimPath
from tests.simulation.loop import LIFE, Killed, Life, SimLoop

from polyroute.errors import Overloaded, ProviderTimeout, RateLimited, StoreError, StreamInterrupted
from polyroute.gateway import RequestPath
from polyroute.journey import Entry, Parts
from polyroute.ports import Choice, Selection
from polyroute.prompts.registry import Registry
from polyroute.server.exchange import Exchange
from polyroute.stages.execution.runner import Surroundings
from polyroute.stages.route import Route, Routes
from polyroute.state.accounts.accounts import Accounts, Admission
from polyroute.state.accounts.allowances import Allowances
from polyroute.state.accounts.budgets import Hold
from polyroute.state.health.health import Health
from polyroute.stores import books as reading
from polyroute.stores.amending import Change
from polyroute.stores.books import Books
from polyroute.stores.expiry import Expiring
from polyroute.stores.journal.journal import Journal
from polyroute.stores.journal.lines import Settled
from polyroute.stores.ledger import JournaledLedger
from polyroute.stores.records.sqlite import SqliteRecords
from polyroute.stores.sqlite import booking
from polyroute.stores.sqlite.books import Books as SqliteBooks
from polyroute.stores.sqlite.queries import load_queries
from polyroute.testing.providers import a_deployment
from polyroute.types.access import Caller
from polyroute.types.cards import Deadlines, Deployment, ModelCard, Price, Rates
from polyroute.types.content import Text
from polyroute.types.receipt import Amended, Receipt
from polyroute.types.request import Request, ask
from polyroute.types.response import Choice as Answered
from polyroute.types.response import ChoiceEnded, Chunk, Ended, Reply, Response, Started, StopReason, TextDelta, Usage
from polyroute.types.routing import Classification

INPUT_NANOS, OUTPUT_NANOS = 1_000, 2_000  # a token
_PRICE = Price(rates=Rates(input=Decimal(1), output=Decimal(2)), source="simulation")
_QUERIES = load_queries()
RID: contextvars.ContextVar[str] = contextvars.ContextVar("rid", default="")


class Call(Struct):
    """What the provider knows of one call: the oracle."""

    request_id: str
    number: int
    deployment: str
    team: str
    at: float
    day: datetime
    kind: str = "left"  # "whole", "failed" (nothing billed), "cut" (something was sent), "left"
    nanos: int = 0


class Oracle(Protocol):
    """What a process tells the world it lives in."""

    draw: random.Random
    disk: Disk
    db: sqlite3.Connection
    loop: SimLoop
    is_db_away: bool
    is_remote: bool
    is_power: bool
    allowances: Allowances

    def utc_now(self) -> datetime: ...
    def kill(self, life: Life) -> None: ...
    def called(self, request_id: str, deployment: str) -> Call: ...
    def ended(self, call: Call) -> None: ...
    def fate(self, deployment: str) -> str: ...
    def admitted(self, life: Life, caller: Caller, tokens: int, admission: Admission) -> None: ...
    def refused(self, life: Life, caller: Caller, tokens: int, fault: RateLimited) -> None: ...
    def corrected(self, admission: Admission, tokens: int) -> None: ...
    def held(self, caller: Caller, hold: Hold, worst_usd: Decimal | None, now: datetime) -> None: ...


class SimBooks(SqliteBooks):
    def __init__(self, journals: SimPath, db: sqlite3.Connection) -> None:
        Books.__init__(self, cast("Any", journals))
        self._path, self._queries, self._connection = cast("Any", journals), _QUERIES, db

    def close(self) -> None:
        """The world's database stays."""


class SimLedger(JournaledLedger):
    def __init__(self, world: Oracle, life: Life, folder: SimPath) -> None:
        syncer: Any = SimpleNamespace(shutdown=lambda: None) if world.is_power else None
        journal = Journal(cast("Any", folder), syncer=syncer, limit_bytes=4_000)
        super().__init__("books", cast("Any", folder), journal, is_remote=world.is_remote, syncer=syncer)
        self._world, self._life, self._folder = world, life, folder
        self.dies_booking: str | None = None

    def _book(self, entries: Sequence[Settled]) -> list[Settled]:
        if self._world.is_db_away:
            raise StoreError("the database is away")
        if self.dies_booking == "before":
            self._world.kill(self._life)
            raise Killed
        booked = booking.book(self._world.db, cast("Any", self._folder), _QUERIES, entries)
        if self.dies_booking == "after":
            self._world.kill(self._life)
            raise Killed
        return booked

    def _expiring(self) -> Expiring:
        raise NotImplementedError  # nothing is ever so old here

    def _amend(self, request_id: str, change: Change) -> Amended | None:
        raise NotImplementedError  # nothing here is asked for again

    def _prepare(self) -> None:
        if self._world.is_db_away:
            raise StoreError("the database is away")

    def _settled_in_database(self, request_id: str) -> Receipt | None:
        return self.books().settled(request_id)

    def _look_up(self, request_id: str) -> Receipt | None:
        if self._world.is_db_away:
            raise StoreError("the database is away")
        return self.books().receipt(request_id)

    def _let_go(self) -> None:
        """Nothing of its own."""

    @property
    def still_open(self) -> bool:
        return bool(self._journal._open)

    def books(self) -> SimBooks:
        return SimBooks(self._folder, self._world.db)


class SimRecords(SqliteRecords):
    def __init__(self, db: sqlite3.Connection, folder: SimPath) -> None:
        self._path, self._connection, self._lock = cast("Any", folder), db, threading.RLock()


class SimAccounts(Accounts):
    """Tells the world what it let pass."""

    def __init__(self, world: Oracle, life: Life) -> None:
        super().__init__(world.allowances, world.loop.time)
        self._world, self._life = world, life

    async def enter(self, caller: Caller, tokens: int, now: float, *more: Any, **named: Any) -> Admission:
        try:
            admission = await super().enter(caller, tokens, now, *more, **named)
        except RateLimited as fault:
            self._world.refused(self._life, caller, tokens, fault)
            raise
        self._world.admitted(self._life, caller, tokens, admission)
        return admission

    def correct(self, admission: Admission, tokens: int) -> None:
        super().correct(admission, tokens)
        self._world.corrected(admission, tokens)

    async def reserve(
        self, caller: Caller, model: str | None, worst_usd: Decimal | None, now: datetime, *more: Any, **named: Any
    ) -> Hold:
        hold = await super().reserve(caller, model, worst_usd, now, *more, **named)
        self._world.held(caller, hold, worst_usd, named["came_at"])
        return hold


class SimProvider:
    def __init__(self, world: Oracle) -> None:
        self._world = world

    def obstacles(self, request: Request, target: Deployment) -> tuple[str, ...]:
        return ()

    async def complete(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> Reply:
        call, usage, text = await self._begin(request, target, max_output_tokens)
        self._whole(call, usage)
        response = Response(
            id="r",
            choices=(Answered(index=0, parts=(Text(text=text),), stop=StopReason.END),),
            usage=usage,
            model=target.model,
        )
        return Reply(usage=usage, model=target.model, stop=StopReason.END, response=response)

    async def stream(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> AsyncGenerator[Chunk, None]:
        call, usage, text = await self._begin(request, target, max_output_tokens)
        world = self._world
        try:
            yield Started(id="s", model=target.model)
            for half in (text[:8], text[8:]):
                yield TextDelta(text=half)
                await asyncio.sleep(world.draw.random() * 0.5)
                if world.draw.random() < 0.05:
                    call.kind = "cut"
                    raise StreamInterrupted("cut")
        finally:
            if call.kind != "whole":
                world.ended(call)
        self._whole(call, usage)
        yield ChoiceEnded(stop=StopReason.END)
        yield Ended(usage=usage, model=target.model)

    def _whole(self, call: Call, usage: Usage) -> None:
        call.kind, call.nanos = "whole", usage.input_tokens * INPUT_NANOS + usage.output_tokens * OUTPUT_NANOS
        self._world.ended(call)

    async def _begin(
        self, request: Request, target: Deployment, max_output_tokens: int | None
    ) -> tuple[Call, Usage, str]:
        world, draw = self._world, self._world.draw
        request_id, tenant = request.last_user_text.split()[:2]
        call = world.called(request_id, target.id)
        try:
            await asyncio.sleep(draw.random() * draw.choice((0.01, 0.3, 2.0)))
            match world.fate(target.id):
                case "busy":
                    call.kind = "failed"
                    raise Overloaded("busy", http_status=429, retry_after_s=0.5)
                case "broken":
                    call.kind = "failed"
                    raise Overloaded("broken", http_status=500)
                case "hang":
                    call.kind = "cut"
                    await asyncio.sleep(5)
                    raise ProviderTimeout("slow", phase="first_token")
                case _:
                    pass
        except BaseException:
            world.ended(call)
            raise
        most = min(max_output_tokens or 60, request.max_output_tokens or 60)
        usage = Usage(input_tokens=draw.randint(1, 6), output_tokens=draw.randint(1, most))
        return call, usage, f"{tenant} {request_id}"

    async def aclose(self) -> None:
        """Nothing is open."""


class _Plain:
    """Classifies nothing: that is not what is tried here."""

    def classify(self, request: Request, **_: Any) -> Classification:
        return Classification(label="simple", score=0.1, classifier="none")


class _InOrder:
    def __init__(self, *models: str) -> None:
        self.pool = models

    def choose(self, selection: Selection) -> Choice:
        return Choice(models=self.pool, reason="in order")


class _NoLatencies:
    def of(self, deployment: Deployment, now_s: float) -> float | None:
        return None

    def note(self, deployment_id: str, latency_ms: float, now_s: float) -> None:
        """Not kept."""


def deployment(name: str) -> Deployment:
    return replace(a_deployment(name), card=ModelCard(id=name, prices=(_PRICE,)), max_tries=2)


DEPLOYMENTS = (deployment("first"), deployment("second"))


class Process:
    """Made inside its life's context."""

    def __init__(self, world: Oracle, life: Life, folder: SimPath) -> None:
        self.life, self.context = life, contextvars.copy_context()
        self.context.run(LIFE.set, life)
        self.is_ready = False
        self.leads = True
        self.running_start: asyncio.Task[None] | None = None
        self.waiting: set[asyncio.Future[str]] = set()  # clients' futures
        self.running: set[asyncio.Task[Any]] = set()
        self._world = world
        self.ledger = self.context.run(SimLedger, world, life, folder)
        self.accounts = SimAccounts(world, life)
        self.health = Health(world.loop.time())
        self.store: Any = SimpleNamespace(is_remote=world.is_remote, open_books=self.ledger.books)
        route = Route(
            name="route", strategy_name="fixed", strategy=_InOrder("first"), deployments=DEPLOYMENTS,
            fallback=("second",), timeout_s=30.0,
        )  # fmt: skip
        self.path = RequestPath(
            Parts(
                routes=Routes({"route": route}, {}, "route"),
                prompts=Registry({}, None, world.loop.time),
                classifier=_Plain(),
                dialects={},
                around=Surroundings(
                    providers={"provider": SimProvider(world)},
                    monotonic=world.loop.time,
                    sleep=asyncio.sleep,
                    jitter=world.draw.random,
                    health=self.health,
                ),
                accounts=self.accounts,
                ledger=self.ledger,
                latencies=_NoLatencies(),
                new_request_id=lambda: "unused",
                utc_now=world.utc_now,
                draw=world.draw.random,
                policy="policy",
                observe=lambda receipt: None,
                hold=cast("Any", None),
            )
        )
        self.services: Any = SimpleNamespace(
            path=self.path, notes=SimRecords(world.db, folder), ledger=self.ledger, utc_now=world.utc_now,
            max_body_bytes=100_000,
        )  # fmt: skip


async def answer(exchange: Exchange, services: Any) -> None:
    """A door of the plainest kind."""
    body = await exchange.json(services.max_body_bytes)
    tenant, is_stream = exchange.caller.tenant, bool(body["stream"])
    request = ask("route", f"{exchange.request_id} {tenant} {body['text']}", max_output_tokens=60)
    entry = Entry(request_id=exchange.request_id, arrived_s=asyncio.get_running_loop().time(), door="simulation")
    RID.set(exchange.request_id)
    if not is_stream:
        told = await services.path.answer(request, exchange.caller, entry)
        await exchange.reply(200, told.reply.response.text.encode(), [])
        return
    live = await services.path.stream(replace(request, stream=True), exchange.caller, entry)
    try:
        await exchange.start_events("text/plain", [])
        async for chunk in live.chunks():
            if isinstance(chunk, TextDelta):
                await exchange.send_events(chunk.text.encode())
        await exchange.end_events(b"")
    finally:
        await live.aclose()


READING = reading
