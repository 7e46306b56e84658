"""Times the request path's pieces in this process, and prints them as JSON. Run by `python -m bench pieces`."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path

import orjson
import uvloop

from bench.answers import CHAT, CHAT_EVENT, MESSAGE, MESSAGE_EVENT, MESSAGE_HEAD
from bench.timing import Timed, timed, timed_awaits
from bench.traffic import bodies
from polyroute.catalog import tasks, tokens
from polyroute.dialects.anthropic_messages import AnthropicMessages
from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.ports import Selection
from polyroute.server import strict_json
from polyroute.stages.classification.heuristic import HeuristicClassifier
from polyroute.stages.matching.estimates import candidate
from polyroute.stages.matching.match import Boundary, match
from polyroute.stages.matching.needs import needs_of
from polyroute.stages.selection.constraints import Constraints, constrain
from polyroute.stages.selection.plan import make_plan
from polyroute.stages.selection.strategies import Fixed
from polyroute.state.accounts.accounts import Accounts
from polyroute.state.accounts.allowances import Allowances, Budget, Rates
from polyroute.stores.sqlite.ledger import SqliteLedger, open_ledger
from polyroute.types.access import Caller
from polyroute.types.cards import Deployment, ModelCard, Price
from polyroute.types.cards import Rates as TokenRates
from polyroute.types.receipt import Attempt, AttemptOpening, Opening, Receipt, Settlement
from polyroute.types.response import Usage
from polyroute.types.routing import Candidate, Plan

_NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_CALLER = Caller(user="bench", team="bench", key_id="bench")
_WORST_USD, _COST_USD = Decimal("0.00021"), Decimal("0.0000513")


def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        results = [*_dialect_pieces(), *_stage_pieces(), *_desk_pieces(), *runner.run(_ledger_pieces(Path(folder)))]
    print(json.dumps([asdict(one) for one in results]))


def _dialect_pieces() -> list[Timed]:
    chat, messages = OpenAIChat(), AnthropicMessages()
    raw = bodies("chat", "bench", stream=False, count=1)[0]
    body = strict_json.loads(raw)
    request = chat.parse_request(body, {})
    same = _deployment("fake", chat.name)
    other = _deployment("fake-messages", messages.name)
    answer = messages.parse_response(MESSAGE)
    tap, reader, writer = (
        chat.open_reader(same_dialect=True),
        messages.open_reader(same_dialect=False),
        chat.open_writer(request),
    )
    for chunk in reader.feed(MESSAGE_HEAD):  # an event belongs to a stream that has begun
        writer.write(chunk)
    return [
        timed("yardstick: orjson.loads of a 1 KB request", lambda: orjson.loads(raw)),
        timed("strict reading of a 1 KB body", lambda: strict_json.loads(raw)),
        timed("parse a chat request", lambda: chat.parse_request(body, {})),
        timed(
            "render it for a same-dialect upstream", lambda: chat.render_request(request, same, max_output_tokens=None)
        ),
        timed("render it for Anthropic", lambda: messages.render_request(request, other, max_output_tokens=None)),
        timed("skim usage from a 0.8 KB chat answer", lambda: chat.skim_response(CHAT)),
        timed("parse an Anthropic answer", lambda: messages.parse_response(MESSAGE)),
        timed("render it as a chat answer", lambda: chat.render_response(answer, request)),
        timed("pass one stream event on", lambda: tap.feed(CHAT_EVENT)),
        timed("translate one stream event", lambda: [writer.write(chunk) for chunk in reader.feed(MESSAGE_EVENT)]),
    ]


def _stage_pieces() -> list[Timed]:
    chat = OpenAIChat()
    request = chat.parse_request(strict_json.loads(bodies("chat", "bench", stream=False, count=1)[0]), {})
    classifier = HeuristicClassifier(tasks=tasks.load())
    deployments = (_deployment("fake", chat.name), _deployment("fake-messages", AnthropicMessages.name))
    size = tokens.measure(request)
    needs = needs_of(request, size)
    classification = classifier.classify(request)

    def price() -> tuple[Candidate, ...]:
        kept = match(deployments, needs, (Boundary(),), lambda _: ()).deployments
        return tuple(candidate(one, needs, size, _NOW.date(), None) for one in kept)

    candidates, strategy, constraints = price(), Fixed(models=("fake",)), Constraints()

    def select() -> Plan:
        within = constrain(candidates, constraints).candidates
        selection = Selection(request=request, classification=classification, candidates=within)
        return make_plan("fixed", strategy.choose(selection), ("fake-messages",), within, constraints, 0.5)

    return [
        timed("classify", lambda: classifier.classify(request)),
        timed("measure: tokens estimated and bounded", lambda: tokens.measure(request)),
        timed("what the request needs", lambda: needs_of(request, size)),
        timed("match and price two deployments", price),
        timed("constrain, choose and plan", select),
    ]


def _desk_pieces() -> list[Timed]:
    allowances = Allowances(
        per_user=Rates(requests_per_minute=100_000_000), team_budget=Budget(daily_usd=Decimal(1_000_000))
    )
    accounts = Accounts(allowances)
    return [
        timed("limits: admit one request", lambda: accounts.admit(_CALLER, 200, time.monotonic())),
        timed("budgets: hold and settle", lambda: accounts.hold(_CALLER, "fake", _WORST_USD, _NOW).settle(_COST_USD)),
    ]


async def _ledger_pieces(folder: Path) -> list[Timed]:
    ledger = open_ledger(folder / "bench.db")
    numbers = itertools.count()
    try:
        return [
            await timed_awaits("ledger: open and settle, one request at a time", _books(ledger, numbers), together=1),
            await timed_awaits("ledger: open and settle, 64 at once", _books(ledger, numbers), together=64),
        ]
    finally:
        await ledger.aclose()


def _books(ledger: SqliteLedger, numbers: itertools.count[int]) -> Callable[[], Awaitable[None]]:
    async def open_and_settle() -> None:
        request_id = f"bench-{next(numbers)}"
        await ledger.open(_opening(request_id))
        await ledger.settle(_settlement(request_id))

    return open_and_settle


def _opening(request_id: str) -> Opening:
    return Opening(
        request_id=request_id,
        client_request_id=None,
        opened_at=_NOW,
        caller=_CALLER,
        route="bench",
        policy="bench",
        reserved_usd=_WORST_USD,
        attempt=AttemptOpening(
            id=f"{request_id}.0",
            request_id=request_id,
            number=0,
            deployment="fake@fake",
            provider="fake",
            model="fake",
            worst_usd=_WORST_USD,
            opened_at=_NOW,
        ),
    )


def _settlement(request_id: str) -> Settlement:
    attempt = Attempt(
        id=f"{request_id}.0",
        step=0,
        deployment="fake@fake",
        provider="fake",
        model="fake",
        upstream_model="fake",
        answered_model="fake-model-2025-01-01",
        status="succeeded",
        http_status=200,
        duration_ms=60.0,
        usage=Usage(input_tokens=182, output_tokens=40),
        cost_usd=_COST_USD,
    )
    receipt = Receipt(
        request_id=request_id,
        time=_NOW,
        caller=_CALLER,
        door="openai_chat",
        route="bench",
        requested_model="bench",
        policy="bench",
        state="settled",
        strategy="fixed",
        plan=("fake@fake", "fake-messages@fake-messages"),
        attempts=(attempt,),
        model="fake",
        provider="fake",
        stop="end",
        usage=attempt.usage,
        cost_usd=_COST_USD,
    )
    return Settlement(request_id=request_id, settled_at=_NOW, state="settled", receipt=receipt)


def _deployment(name: str, dialect: str) -> Deployment:
    rates = TokenRates(input=Decimal("0.15"), output=Decimal("0.60"))
    card = ModelCard(id=name, context_tokens=128_000, prices=(Price(rates=rates, source="bench"),))
    return Deployment(id=f"{name}@{name}", model=name, provider=name, dialect=dialect, upstream_model="fake", card=card)


if __name__ == "__main__":
    main()
