"""One history: clients, replicas that die and start again, a disk, a provider and its log; checked as it goes.

Everything follows from the seed. What must hold:

    I1  each call that the provider may bill has exactly one row, which existed before the call
    I2  a caller who has seen a whole answer has a final row with its exact cost, from that moment on
    I3  what is spent and held never exceeds a budget; when all is quiet nothing is held, and the rest can be spent
    I4  no more is let through in any window than the limit says; nobody is refused while there is room
    I5  what was said under one tenant is never read under another
    I6  further attempts stay within the retry budget; a broken deployment is left alone
    I7  one idempotency key: one answer, one charge
"""

import asyncio
import contextvars
import functools
import random
import sqlite3
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
from tests.simulation.disk import Disk, SimPath, in_use
from tests.simulation.loop import LIFE, Killed, Life, SimLoop
from tests.simulation.process import RID, Call, Process, SimBooks, answer

from polyroute.errors import Conflict, InvalidRequest, PolyrouteError, RateLimited
from polyroute.server import idempotency
from polyroute.server.exchange import Exchange
from polyroute.state.accounts.accounts import Admission
from polyroute.state.accounts.allowances import Allowances, Budget, Rates
from polyroute.state.accounts.budgets import Hold, window_start
from polyroute.stores.sqlite.files import migrate
from polyroute.types.access import Caller
from polyroute.types.money import round_usd_up, to_nanos
from polyroute.wiring import upkeep

_STARTS = (
    datetime(2026, 3, 10, 12, tzinfo=UTC),
    datetime(2026, 1, 31, 23, 58, tzinfo=UTC),
    datetime(2028, 2, 28, 23, 59, tzinfo=UTC),
    datetime(2026, 12, 31, 23, 59, 30, tzinfo=UTC),
)
_JUMPS_S = (90, -90, 3600, -3600, 86400, -86400)
_MOST_STEPS = 60_000
_WINDOW_S, _GRAIN_S = 60.0, 0.07


class Violation(AssertionError):
    """An invariant is broken."""


@functools.cache
def _empty_books() -> bytes:
    db = sqlite3.connect(":memory:", isolation_level=None)
    migrate(db, Path("books"))
    return db.serialize()


class World:
    def __init__(self, seed: int) -> None:
        draw = self.draw = random.Random(seed)
        self.loop = SimLoop(draw, self._stepped)
        self.disk = Disk()
        self.disk.on_kill = self.kill
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        self.db.deserialize(_empty_books())
        self.is_power = draw.random() < 0.2
        self.is_remote = draw.random() < 0.3
        self.is_db_away = False
        self.is_storm = draw.random() < 0.15  # all at once, at a provider that fails
        self.replicas = 1 if self.is_storm or draw.random() < 0.6 else 2
        self.jumps = not self.is_storm and draw.random() < 0.3
        self.is_crowd = draw.random() < 0.3  # everybody at once
        self.clients = 10 if self.is_storm else draw.choice((2, 4, 8))
        self.requests_each = 12 if self.is_storm else draw.choice((3, 6, 10, 16))
        self.kills_left = 0 if self.is_storm else draw.choice((0, 1, 2, 4))
        self.start = draw.choice(_STARTS)
        self.skew_s = 0.0
        self.limit = None if self.is_storm else draw.choice((None, 3, 6))
        self.tokens_limit = None if self.is_storm else draw.choice((None, 400))
        budget = draw.choice((None, 400_000, 1_500_000))
        self.budget_nanos = None if self.is_storm or self.replicas > 1 else budget
        self.allowances = Allowances(
            per_user=Rates(requests_per_minute=self.limit, tokens_per_minute=self.tokens_limit),
            team_budget=Budget(
                daily_usd=None if self.budget_nanos is None else Decimal(self.budget_nanos).scaleb(-9)
            ),
        )  # fmt: skip
        self.moods = {
            "first@provider": draw.choice(("well", "flaky")),
            "second@provider": draw.choice(("well", "flaky")),
        }
        if self.is_storm:
            self.moods = {"first@provider": "dead", "second@provider": draw.choice(("well", "dead"))}
        self.processes: list[Process] = []
        self.calls: dict[str, list[Call]] = defaultdict(list)
        self.days: dict[tuple[str, int], datetime] = {}
        self.spent: Counter[tuple[str, datetime]] = Counter()
        self.whole: dict[str, bytes] = {}  # seen whole by a caller
        self.windows: dict[tuple[Life, tuple[str, ...]], list[list[float]]] = defaultdict(list)
        self.admissions: dict[int, tuple[Admission, list[float], int]] = {}
        self.named: dict[tuple[str, str], dict[str, Any]] = {}  # idempotency keys
        self.numbers = 0
        self.asked = 0
        self.breach: Violation | None = None
        self._ready: asyncio.Event | None = None
        self.next_kill = draw.randint(20, 900)
        self.folder: SimPath = SimPath(self.disk, "")
        self.under_way: dict[tuple[str, int], Call] = {}
        self.worst: dict[tuple[str, int], int] = {}
        self.deaths = 0
        self.was_full = False
        self.is_over = False
        self.told: list[str] = []
        self.home = contextvars.copy_context()  # of nobody's life
        self.restarts: set[asyncio.Task[None]] = set()

    # ── what a process tells ──────────────────────────────────────────────────────────────────────────

    def utc_now(self) -> datetime:
        return self.start + timedelta(seconds=self.loop.time() - 1000 + self.skew_s)

    def fate(self, deployment: str) -> str:
        mood, draw = self.moods[deployment], self.draw.random()
        if mood == "dead":
            return "broken"
        if mood == "flaky":
            return "broken" if draw < 0.15 else "busy" if draw < 0.25 else "hang" if draw < 0.3 else "fine"
        return "fine"

    def called(self, request_id: str, deployment: str) -> Call:
        calls = self.calls[request_id]
        number = len(calls)
        team = RID.get() and self.team_of(request_id)
        call = Call(
            request_id, number, deployment, team, self.loop.time(),
            self.days.get((request_id, number), window_start("daily", self.utc_now())),
        )  # fmt: skip
        calls.append(call)
        if self.budget_nanos is not None:
            self.under_way[request_id, number] = call
            at_most = sum(self.worst.get(key, 0) for key, other in self.under_way.items()
                          if (other.team, other.day) == (call.team, call.day))  # fmt: skip
            self.check(
                self.spent[call.team, call.day] + at_most <= self.budget_nanos,
                f"I3: {call.team} may spend {self.spent[call.team, call.day]} + {at_most} of {self.budget_nanos}",
            )
        self.check(
            self.is_on_disk(b'"id":"%s.%d"' % (request_id.encode(), number)),
            f"I1: the provider is called for {request_id}.{number}, which no durable line announces",
        )
        return call

    def ended(self, call: Call) -> None:
        """For the provider: it bills what it sent."""
        self.under_way.pop((call.request_id, call.number), None)
        if self.budget_nanos is not None and call.nanos:
            self.spent[call.team, call.day] += call.nanos
            spent = self.spent[call.team, call.day]
            self.check(
                spent <= self.budget_nanos, f"I3: {call.team} has spent {spent} of {self.budget_nanos} on {call.day}"
            )

    def held(self, caller: Caller, hold: Hold, worst_usd: Decimal | None, now: datetime) -> None:
        request_id = RID.get()
        attempt = request_id, len(self.calls.get(request_id, ()))
        self.days[attempt] = window_start("daily", now)
        self.worst[attempt] = to_nanos(round_usd_up(worst_usd or Decimal(0)))

    def team_of(self, request_id: str) -> str:
        return request_id.partition("-")[0]

    def admitted(self, life: Life, caller: Caller, tokens: int, admission: Admission) -> None:
        now = self.loop.time()
        user = caller.tenant, caller.user
        for kind, limit, amount in (("requests", self.limit, 1), ("tokens", self.tokens_limit, tokens)):
            if limit is None:
                continue
            entries = self.windows[life, (kind, *user)]
            entry = [now, float(amount)]
            entries.append(entry)
            if kind == "tokens":
                self.admissions[id(admission)] = (admission, entry, tokens)
            total = sum(amount for at, amount in entries if at > now - _WINDOW_S)
            self.check(total <= limit, f"I4: {user} was let through with {total} {kind} in a minute of {limit}")

    def refused(self, life: Life, caller: Caller, tokens: int, fault: RateLimited) -> None:
        now = self.loop.time()
        user = caller.tenant, caller.user
        for kind, limit, amount in (("requests", self.limit, 1), ("tokens", self.tokens_limit, tokens)):
            if limit is None:
                continue
            entries = self.windows[life, (kind, *user)]
            if sum(amount for at, amount in entries if at > now - _WINDOW_S - _GRAIN_S) + amount > limit:
                return
        self.check(False, f"I4: {user} was refused while there was room: {fault}")

    def corrected(self, admission: Admission, tokens: int) -> None:
        found = self.admissions.pop(id(admission), None)
        if found is not None:
            found[1][1] += tokens - found[2]

    # ── death ─────────────────────────────────────────────────────────────────────────────────────────

    def kill(self, life: Life) -> None:
        if life.is_dead:
            return
        dying = [process for process in self.processes if process.life is life or self.is_power]
        for process in dying:
            self.told.append(f"{self.loop.time():.1f} {process.life.name} dies")
            process.life.is_dead = True
            self.disk.lost(process.life)
            self.processes.remove(process)
        self.deaths += 1
        self.under_way.clear()
        if self.is_power:
            self.disk.power_cut()
        if self.db.in_transaction:
            self.db.execute("ROLLBACK")
        for process in dying:
            for future in process.waiting:
                if not future.done():
                    future.set_result("gone")
            if not self.is_over:
                self.loop.call_later(self.draw.random() * 2, self.restart, context=self.home)

    def restart(self) -> None:
        self.restarts.add(self.loop.create_task(self.begin(), context=self.home.copy()))

    def _stepped(self) -> None:
        if self.kills_left and self.loop.steps >= self.next_kill and self.processes:
            self.kills_left -= 1
            self.next_kill = self.loop.steps + self.draw.randint(20, 900)
            process = self.draw.choice(self.processes)
            match self.draw.randrange(4):
                case 0:
                    process.life.writes_left = self.draw.randrange(4)
                case 1:
                    process.ledger.dies_booking = self.draw.choice(("before", "after"))
                case _:
                    self.kill(process.life)

    def check(self, holds: bool, breach: str) -> None:
        if not holds and self.breach is None and not self.is_dead_now():
            self.breach = Violation(breach)

    @staticmethod
    def is_dead_now() -> bool:
        life = LIFE.get()
        return life is not None and life.is_dead

    def is_on_disk(self, mark: bytes) -> bool:
        return any(mark in (inode.synced if self.is_power else inode.data) for inode in self.disk.names.values())

    # ── processes ─────────────────────────────────────────────────────────────────────────────────────

    async def begin(self) -> None:
        self.numbers += 1
        life = Life(f"p{self.numbers}")
        process = Process(self, life, self.folder)
        self.processes.append(process)

        async def start() -> None:
            while True:
                try:
                    await upkeep.catch_up(process)
                except PolyrouteError:
                    await asyncio.sleep(0.5)
                else:
                    break
            process.is_ready = True
            await upkeep.keep_up(process)

        process.running_start = self.loop.create_task(start(), context=process.context)

    async def ready(self) -> Process:
        while True:
            found = [process for process in self.processes if process.is_ready and not process.life.is_dead]
            if found:
                return self.draw.choice(found)
            await asyncio.sleep(0.1)

    # ── clients ───────────────────────────────────────────────────────────────────────────────────────

    async def client(self, number: int) -> None:
        draw = self.draw
        for _ in range(self.requests_each):
            if not self.is_storm:
                await asyncio.sleep(draw.random() * (0.2 if self.is_crowd else draw.choice((0.2, 3.0, 20.0))))
            tenant = draw.choice("AB")
            caller = Caller(tenant=tenant, team=f"team{tenant}", user=draw.choice(("u", "v")), key_id=f"key{tenant}")
            body = {"text": f"text {number}", "stream": draw.random() < 0.4}
            name = f"k{draw.randrange(6)}" if not self.is_storm and draw.random() < 0.4 else None
            if name is not None:
                known = self.named.setdefault((tenant, name), {"body": body, "caller": caller, "answers": set()})
                if draw.random() < 0.9:
                    body, caller = known["body"], known["caller"]
                else:
                    known["mixed"] = True
            times = draw.choice((1, 1, 2, 3)) if name else 1
            sends = []
            for _ in range(times):
                sends.append(self.loop.create_task(self.send(caller, body, name)))
                await asyncio.sleep(draw.random() * 0.5)
            await asyncio.gather(*sends)

    async def send(self, caller: Caller, body: dict[str, Any], name: str | None) -> None:
        process = await self.ready()
        self.numbers += 1
        self.asked += 1
        request_id = f"{caller.team}-r{self.numbers}"
        gone: asyncio.Future[str] = self.loop.create_future()
        process.waiting.add(gone)
        heard = bytearray()
        told: dict[str, Any] = {"status": 0, "whole": False}
        left = False

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": orjson.dumps(body), "more_body": False}

        async def take(message: Any) -> None:
            if self.is_dead_now():
                raise Killed
            if left or gone.done():
                return
            if message["type"] == "http.response.start":
                told["status"] = message["status"]
                return
            heard.extend(message.get("body", b""))
            if not message.get("more_body"):
                told["whole"] = True
                self.saw(caller, body, name, bytes(heard))

        had_answer = False
        if name:
            self.named[caller.tenant, name].setdefault("ids", []).append(request_id)
            had_answer = any(one == orjson.dumps(body) for one, _ in self.named[caller.tenant, name]["answers"])
        headers = [(b"idempotency-key", name.encode())] if name else []
        scope = {"type": "http", "method": "POST", "path": "/s", "headers": headers, "query_string": b""}
        exchange = Exchange(scope, receive, take, arrived_s=self.loop.time(), request_id=request_id)
        exchange.caller = caller

        async def serve() -> str:
            try:
                if name:
                    await idempotency.once(exchange, process.services, answer)
                else:
                    await answer(exchange, process.services)
            except Conflict:
                return "conflict"
            except InvalidRequest as fault:
                self.check(fault.code == "idempotency_key_reused", f"a request was called wrong: {fault}")
                return "reused"
            except PolyrouteError as fault:
                return type(fault).__name__
            except asyncio.CancelledError:
                return "left"
            except Exception as fault:  # noqa: BLE001 - whatever it is, it is told
                self.check(False, f"the gateway broke: {fault!r}")
                return "broke"
            return "answered"

        task = self.loop.create_task(serve(), context=process.context.copy())
        process.running.add(task)
        task.add_done_callback(process.running.discard)
        done = asyncio.ensure_future(gone)
        patience = self.draw.choice((None, None, None, None, None, self.draw.random() * 2))
        waits: set[Any] = {task, done}
        finished, _ = await asyncio.wait(waits, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if not finished:
            left = True
            task.cancel()  # what a lost connection does
            finished, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        process.waiting.discard(gone)
        if task in finished and not left and name and task.result() == "conflict" and had_answer and not self.jumps:
            self.check(self.deaths > 0, f"I7: {name} of {caller.tenant} was answered, and its answer is lost")
        if task in finished and not left and name and task.result() == "reused":
            known = self.named[caller.tenant, name]
            self.check(known["body"] != body or known["caller"].user != caller.user or self.is_mixed(known),
                       f"I7: {name} of {caller.tenant} was called another request's, and is the same")  # fmt: skip

    @staticmethod
    def is_mixed(known: dict[str, Any]) -> bool:
        """Whether another body may have come first."""
        return bool(known.get("mixed"))

    def saw(self, caller: Caller, body: dict[str, Any], name: str | None, text: bytes) -> None:
        """A caller has the whole answer in hands."""
        tenant, _, request_id = text.decode().partition(" ")
        self.check(tenant == caller.tenant, f"I5: {caller.tenant} was told what belongs to {tenant}")
        self.whole[request_id] = text
        row = self.db.execute("SELECT state FROM requests WHERE id = ?", (request_id,)).fetchone()
        durable = row is not None or self.is_on_disk(b'S{"request_id":"%s"' % request_id.encode())
        self.check(durable, f"I2: {request_id} was answered whole, and its settlement is not durable")
        if name is not None:
            known = self.named[caller.tenant, name]
            known["answers"].add((orjson.dumps(body), text))

    # ── the history ───────────────────────────────────────────────────────────────────────────────────

    async def weather(self) -> None:
        """What happens beside the clients."""
        while True:  # until cancelled
            await asyncio.sleep(self.draw.random() * 15)
            what = self.draw.randrange(4)
            if what == 0 and self.jumps:
                self.skew_s += self.draw.choice(_JUMPS_S)
                self.told.append(f"{self.loop.time():.1f} the clock says {self.utc_now()}")
            elif what == 1 and self.is_remote:
                self.is_db_away = True
                await asyncio.sleep(self.draw.random() * 5)
                self.is_db_away = False
            elif what == 2 and not self.is_power:
                self.disk.is_full = self.was_full = True
                await asyncio.sleep(self.draw.random() * 3)
                self.disk.is_full = False
            elif what == 3:
                for process in self.processes:
                    if process.is_ready and not process.life.is_dead:
                        self.reload(process)

    def reload(self, process: Process) -> None:
        """What a changed document brings with it."""
        task = self.loop.create_task(upkeep.restore_budgets(process), context=process.context.copy())
        process.running.add(task)
        task.add_done_callback(process.running.discard)

    async def history(self) -> None:
        for _ in range(self.replicas):
            await self.begin()
        weather = self.loop.create_task(self.weather())
        await asyncio.gather(*(self.client(number) for number in range(self.clients)))
        self.is_over, self.kills_left = True, 0
        self.disk.is_full = self.is_db_away = False
        weather.cancel()
        await asyncio.gather(weather, return_exceptions=True)
        if self.draw.random() < 0.7 and not self.is_storm:
            await asyncio.sleep(self.draw.random() * 40)  # work that goes on without its caller ends
        for process in list(self.processes):
            self.quiet(process)
            self.kill(process.life)
        self.is_db_away = False
        await self.begin()
        last = await self.ready()
        await last.ledger.drain()
        self.settled(last)

    def quiet(self, process: Process) -> None:
        """Where nothing is under way nothing is held."""
        if process.running or not process.is_ready or process.life.writes_left is not None or process.ledger.pending:
            return
        if idempotency._under_way or not process.accounts.knows_spending:
            return
        self.check(
            not process.ledger.still_open or self.was_full, "I1: nothing is under way, and a request was never closed"
        )
        if self.budget_nanos is None or process.ledger.still_open:
            return  # their settlement could not be written: the next start books the most they can have cost
        self.rest(process, "quiet")

    def rest(self, process: Process, when: str) -> None:
        now = self.utc_now()
        with SimBooks(self.folder, self.db) as books:
            for tenant in "AB":
                caller = Caller(tenant=tenant, team=f"team{tenant}", user="u", key_id=f"key{tenant}")
                left = process.accounts.remaining_usd(caller, "first", now)
                booked = sum(
                    (
                        spent.cost_usd
                        for spent in books.spent_since(window_start("daily", now))
                        if spent.tenant == tenant
                    ),
                    Decimal(0),
                )
                wanted = max(Decimal(self.budget_nanos or 0).scaleb(-9) - booked, Decimal(0))
                # What is settled while books are read that take time may count twice until they are read again; and a
                # day that a set clock brought back is asked about at the next call.
                at_most = left is not None and left < wanted and (self.is_remote or self.is_power)
                self.check(
                    left == wanted or (when == "quiet" and (self.jumps or at_most)),
                    f"I3: {when}: {caller.team} has {left} left, and the books say {wanted}",
                )

    def settled(self, last: Process) -> None:
        """The books at the end of it all, read as anybody reads them."""
        with SimBooks(self.folder, self.db) as books:
            findings = books.verify()
            self.check(not findings, f"the books do not balance: {[str(finding) for finding in findings[:3]]}")
            entries = {entry.request.id: entry for entry in books.entries()}
        if self.budget_nanos is not None:
            self.rest(last, "restored")
        for request_id, calls in self.calls.items():
            entry = entries.get(request_id)
            if entry is None:
                self.check(False, f"I1: {request_id} was sent to the provider, and is not in the books")
                continue
            rows = {row.id: row for row in entry.attempts}
            for call in calls:
                row = rows.get(f"{request_id}.{call.number}")
                if row is None:
                    self.check(False, f"I1: call {request_id}.{call.number} has no row")
                    continue
                cost = row.cost_nanos or 0
                told = f"{row.id} ({row.status}) is booked at {cost}, the provider's {call.kind} call cost {call.nanos}"
                if row.status == "succeeded":
                    self.check(call.kind == "whole" and cost == call.nanos, f"I1: {told}")
                elif call.kind == "whole":
                    self.check(cost >= (call.nanos if row.status == "unknown" else 1), f"I1: {told}")
                elif call.kind == "cut":
                    self.check(cost > 0, f"I1: {told}")
                elif call.kind == "failed" and row.status == "failed":
                    self.check(cost == 0, f"I1: {told}")
        for request_id in self.whole:
            entry = entries.get(request_id)
            billed = sum(call.nanos for call in self.calls[request_id] if call.kind == "whole")
            self.check(
                entry is not None and entry.request.state == "settled" and entry.request.cost_nanos >= billed,
                f"I2: {request_id} was answered whole; the books say {entry and entry.request.state}",
            )
        self.idempotent(entries)
        self.storms()

    def idempotent(self, entries: dict[str, Any]) -> None:
        if self.jumps:
            return  # a day forward ends what is kept for a day
        for (tenant, name), known in self.named.items():
            ids = known.get("ids", ())
            charged = [one for one in ids if any(call.kind in ("whole", "cut") for call in self.calls.get(one, ()))]
            self.check(len(charged) <= 1, f"I7: {name} of {tenant} was charged {len(charged)} times: {charged}")
            left = [one for one in ids if one in entries and entries[one].request.state == "cancelled"]
            self.check(not left, f"I7: {left} under {name} of {tenant} ended with their caller")
            bodies: dict[bytes, set[bytes]] = defaultdict(set)
            for body, text in known["answers"]:
                bodies[body].add(text)
            self.check(
                len(known["answers"]) <= 1 or (len(bodies) == 1 and len(next(iter(bodies.values()))) == 1),
                f"I7: {name} of {tenant} has {len(known['answers'])} answers",
            )

    def storms(self) -> None:
        if not self.is_storm:
            return
        made = Counter(call.deployment for calls in self.calls.values() for call in calls)
        span_s = self.loop.time() - 1000
        if self.moods["second@provider"] == "dead":
            most = 1.1 * self.asked + 12 + span_s + 10
            self.check(sum(made.values()) <= most, f"I6: {self.asked} requests made {sum(made.values())} attempts")
        else:
            most = 5 + 2 * self.clients + 2 * span_s
            self.check(
                made["first@provider"] <= most,
                f"I6: {made['first@provider']} calls to a dead deployment in {span_s:.0f} s",
            )


class _Clock:
    """In the place of `datetime` where the time is asked for."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now(self, zone: Any) -> datetime:
        return self._world.utc_now()


def run(seed: int) -> World:
    """The whole history. Raises Violation."""
    world = World(seed)
    clocked: Any = upkeep
    before = clocked.datetime
    idempotency._under_way.clear()
    with in_use(world.disk):
        clocked.datetime = _Clock(world)
        try:
            main = world.loop.create_task(world.history())
            while not main.done():
                world.loop.run_one()
                if world.breach is not None:
                    raise world.breach
                if world.loop.steps > _MOST_STEPS:
                    raise Violation("it never ends")
            main.result()
            if world.breach is not None:
                raise world.breach
            if world.loop.failures:
                raise Violation(f"nobody took care of {world.loop.failures[0]!r}") from world.loop.failures[0]
        finally:
            clocked.datetime = before
    return world
