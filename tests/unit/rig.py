"""The path with scripted providers, books in memory, and a clock that stands still until somebody sleeps."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from polyroute.catalog.tasks import load
from polyroute.errors import StoreError
from polyroute.gateway import RequestPath
from polyroute.journey import Answer, Entry, LiveAnswer, Parts
from polyroute.ports import Choice, Gate, Selection
from polyroute.prompts.registry import Registry
from polyroute.stages.assembly.savings import dearest
from polyroute.stages.classification.heuristic import HeuristicClassifier
from polyroute.stages.execution.runner import Surroundings
from polyroute.stages.route import Route, Routes
from polyroute.stages.validation.judge import Check, OnReject
from polyroute.state.accounts.accounts import Accounts
from polyroute.state.accounts.allowances import Allowances, Budget
from polyroute.state.health.health import Health
from polyroute.state.hedges import Hedges
from polyroute.stores.memory import MemoryLedger
from polyroute.testing.providers import Outcome, ScriptedProvider, a_deployment
from polyroute.types.access import Caller
from polyroute.types.cards import Deployment, ModelCard, Price, Rates
from polyroute.types.prompts import Prompt
from polyroute.types.receipt import AttemptOpening, Opening, Receipt, Settlement
from polyroute.types.request import Request, ask
from polyroute.types.response import Chunk, Response
from polyroute.types.review import Review
from polyroute.types.routing import Verdict

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CALLER = Caller(user="ann", team="blue")
PRICE = Price(rates=Rates(input=Decimal(1), output=Decimal(2)), source="test")  # USD per million tokens


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds


class CountedBooks(MemoryLedger):
    """Remembers what was written; `fails` and `waits` are asked before each write, by its kind."""

    def __init__(self) -> None:
        super().__init__()
        self.openings: list[Opening] = []
        self.attempts: list[AttemptOpening] = []
        self.settlements: list[Settlement] = []
        self.failing: set[str] = set()
        self.before: Callable[[str], Awaitable[None]] | None = None

    async def open(self, opening: Opening) -> None:
        await self._ask("open")
        await super().open(opening)
        self.openings.append(opening)

    async def open_attempt(self, opening: AttemptOpening) -> None:
        await self._ask("open_attempt")
        await super().open_attempt(opening)
        self.attempts.append(opening)

    async def settle(self, settlement: Settlement) -> None:
        await self._ask("settle")
        if self._settled.get(settlement.request_id) != settlement.receipt:
            self.settlements.append(settlement)
        await super().settle(settlement)

    async def _ask(self, kind: str) -> None:
        if self.before is not None:
            await self.before(kind)
        if kind in self.failing:
            raise StoreError("the disk is full")

    @property
    def still_open(self) -> int:
        return len(self._open)


class NoLatencies:
    def __init__(self) -> None:
        self.noted: list[tuple[str, float]] = []

    def of(self, deployment: Deployment, now_s: float = 0.0) -> float | None:
        return None

    def note(self, deployment_id: str, latency_ms: float, now_s: float = 0.0) -> None:
        self.noted.append((deployment_id, latency_ms))


class InOrder:
    """A strategy that names its models as they were given."""

    def __init__(self, *models: str) -> None:
        self.pool = models

    def choose(self, selection: Selection) -> Choice:
        return Choice(models=self.pool, reason="in order")


class Says:
    """A gate that accepts what holds a word."""

    def __init__(self, word: str) -> None:
        self.word = word

    async def judge(self, request: Request, response: Response) -> Verdict:
        return Verdict(gate="says", accepted=self.word in response.text, reasons=(f"no {self.word}",))


def deployment(name: str, *, price: Price | None = PRICE, max_tries: int = 2, **card: Any) -> Deployment:
    plain = a_deployment(name)
    known = ModelCard(id=name, prices=() if price is None else (price,), **card)
    return replace(plain, card=known, max_tries=max_tries)


def a_route(
    *deployments: Deployment, gates: Sequence[Gate] = (), on_reject: OnReject = "escalate", **more: Any
) -> Route:
    names = tuple(dict.fromkeys(d.model for d in deployments))
    return Route(
        name="route",
        strategy_name="fixed",
        strategy=more.pop("strategy", InOrder(*names)),
        deployments=deployments,
        checks=tuple(Check(gate=gate, on_reject=on_reject) for gate in gates),
        baseline=more.pop("baseline", dearest(deployments, NOON.date())),
        **more,
    )


class Rig:
    """`script` is by model name."""

    def __init__(
        self,
        script: Mapping[str, Outcome | list[Outcome]],
        route: Route | None = None,
        *,
        allowances: Allowances | None = None,
        models: Mapping[str, Route] | None = None,
        prompts: Mapping[str, Prompt] | None = None,
    ) -> None:
        self.route = route or a_route(*(deployment(name) for name in script))
        self.provider = ScriptedProvider({f"{name}@provider": told for name, told in script.items()})
        self.clock = Clock()
        self.hedges = Hedges()
        self.books = CountedBooks()
        self.accounts = Accounts(allowances or Allowances())
        self.latencies = NoLatencies()
        self.requests = 0
        self.observed: list[Receipt] = []
        self.held: list[Review] = []
        self.path = RequestPath(
            Parts(
                routes=Routes({"route": self.route}, models or {}, "route"),
                prompts=Registry(prompts or {}, None, self.clock.monotonic),
                classifier=HeuristicClassifier(tasks=load()),
                dialects={},
                around=Surroundings(
                    providers={"provider": self.provider},
                    monotonic=self.clock.monotonic,
                    sleep=self.clock.sleep,
                    jitter=lambda: 0.0,
                    health=Health(0.0),
                    hedges=self.hedges,
                ),
                accounts=self.accounts,
                ledger=self.books,
                latencies=self.latencies,
                new_request_id=self.new_id,
                utc_now=lambda: NOON,
                draw=lambda: 0.0,
                policy="policy",
                observe=self.observed.append,
                hold=self.hold,
            )
        )

    async def hold(self, review: Review) -> None:
        self.held.append(review)

    def new_id(self) -> str:
        self.requests += 1
        return f"r{self.requests}"

    def entry(self) -> Entry:
        return Entry(request_id=self.new_id(), arrived_s=self.clock.now_s, door="test")

    async def answer(self, request: Request | None = None, caller: Caller = CALLER) -> Answer:
        return await self.path.answer(request or ask("route", "hi"), caller, self.entry())

    async def stream(self, request: Request | None = None, caller: Caller = CALLER) -> LiveAnswer:
        request = replace(request or ask("route", "hi"), stream=True)
        return await self.path.stream(request, caller, self.entry())

    async def read(self, request: Request | None = None) -> tuple[LiveAnswer, list[Chunk]]:
        live = await self.stream(request)
        return live, [chunk async for chunk in live.chunks()]

    @property
    def receipt(self) -> Receipt:
        """Of the one request that was settled."""
        (settlement,) = self.books.settlements
        return settlement.receipt

    def left_usd(self, model: str | None = None) -> Decimal | None:
        return self.accounts.remaining_usd(CALLER, model, NOON)


def daily(usd: str) -> Allowances:
    return Allowances(team_budget=Budget(daily_usd=Decimal(usd)))
