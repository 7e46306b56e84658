"""Past requests decided anew by another document, and what they would have cost. Nobody is called, nothing is written.

The books keep no words, so what was seen in each request then (its classification, size, latencies) is taken as it was,
and where a route's rule reads the words themselves, so is its choice. Tokens are those that were booked: another model
may have used more or fewer.
"""

import asyncio
import os
import time
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from polyroute.catalog.cards import Catalogue
from polyroute.catalog.pricing import cost, price_at
from polyroute.cli.drill.traffic import Asked
from polyroute.config.document import Store
from polyroute.config.load import Loaded
from polyroute.config.resolve import deployments
from polyroute.errors import CallerError, NoCandidate
from polyroute.gateway import RequestPath
from polyroute.journey import Entry
from polyroute.ports import Classifier
from polyroute.stages.route import Route
from polyroute.types.cards import Deployment
from polyroute.types.money import ZERO_USD
from polyroute.types.receipt import Receipt
from polyroute.types.request import Request
from polyroute.types.routing import DEFAULT_THRESHOLDS, Classification, Thresholds
from polyroute.wiring.build import open_gateway

_READS_WORDS = ("rules", "learned", "logic", "llm")
_TOLD = 20


class Decision(Struct, frozen=True, kw_only=True):
    """One request, then and now."""

    request_id: str
    route: str
    was: str  # model
    now: str | None  # None: it would be refused
    was_usd: Decimal
    now_usd: Decimal | None  # None: the price is not known
    is_kept: bool = False  # the rule reads words: the choice is taken as it was

    @property
    def difference_usd(self) -> Decimal:
        return ZERO_USD if self.now_usd is None else self.now_usd - self.was_usd


class Move(Struct, frozen=True, kw_only=True):
    was: str
    now: str | None
    requests: int
    difference_usd: Decimal


class Replayed(Struct, frozen=True, kw_only=True):
    """Sums are of requests whose cost is known then and now. A difference below 0 is money saved."""

    baseline: str
    requests: int
    changed: int
    refused: int
    kept: int  # of the requests: their route's rule reads words
    unpriced: int
    was_usd: Decimal
    now_usd: Decimal
    difference_usd: Decimal
    difference_ratio: float | None  # of what was spent; None: nothing was
    moves: tuple[Move, ...]
    most_changed: tuple[Decision, ...]


class _Seen(Classifier):
    """Says of the request in hand what was said of it when it came, by the thresholds of now."""

    said: Classification

    def classify(
        self,
        request: Request,
        *,
        task: str | None = None,
        wants_task: bool = False,
        thresholds: Thresholds = DEFAULT_THRESHOLDS,
    ) -> Classification:
        return replace(self.said, label=thresholds.label(self.said.score), task=task or self.said.task)


class _Latencies:
    """As they were then."""

    known: dict[str, float]

    def of(self, deployment: Deployment, now_s: float) -> float | None:
        return self.known.get(deployment.id, deployment.card.latency_ms)

    def note(self, deployment_id: str, latency_ms: float, now_s: float) -> None:
        return


async def replay(loaded: Loaded, store: Store, receipts: Iterable[Receipt], today: date) -> tuple[Decision, ...]:
    """`store` is where the books are: prompts and keys that are managed there hold for the new document too."""
    document = replace(loaded.document, store=store)
    known = {deployment.id: deployment for deployment in deployments(document, Catalogue())}
    seen, latencies = _Seen(), _Latencies()
    decided = []
    async with open_gateway(replace(loaded, document=document), os.environ) as built:
        path = built.path.over(
            lambda parts: replace(parts, classifier=seen, latencies=latencies, draw=lambda: 0.5, classifiers={})
        )
        for receipt in replayable(receipts):
            assert receipt.classification is not None  # `replayable` leaves others out
            seen.said = receipt.classification
            latencies.known = {
                note.deployment: note.latency_ms for note in receipt.candidates if note.latency_ms is not None
            }
            decided.append(_decided(path, receipt, known, today))
            if len(decided) % 100 == 0:
                await asyncio.sleep(0)
    return tuple(decided)


def replayable(receipts: Iterable[Receipt]) -> Iterator[Receipt]:
    """Those that a model was called for and answered, with tokens and money known."""
    for receipt in receipts:
        is_whole = receipt.state == "settled" and receipt.usage is not None and receipt.cost_complete
        if is_whole and receipt.classification is not None and receipt.model is not None and receipt.plan:
            yield receipt


def _decided(path: RequestPath, receipt: Receipt, known: dict[str, Deployment], today: date) -> Decision:
    usage = receipt.usage
    assert usage is not None  # `replayable` leaves others out
    assert receipt.classification is not None
    asked = Asked(
        model=_called(path, receipt),
        at_s=0.0,
        input_tokens=usage.total_input_tokens,
        output_tokens=usage.total_output_tokens,
        classification=receipt.classification,
    )
    planned = {note.deployment: note.model for note in receipt.candidates}
    was = planned.get(receipt.plan[0]) or receipt.plan[0].partition("@")[0]
    then = Decision(
        request_id=receipt.request_id,
        route=receipt.route,
        was=was,
        now=None,
        was_usd=receipt.cost_usd,
        now_usd=None,
    )
    try:
        prepared = path.prepare(asked.request(), replace(receipt.caller, models=None), _entry(receipt))
    except (CallerError, NoCandidate):
        return then
    is_kept = reads_words(prepared.route)
    if not is_kept and not prepared.plan.steps:
        return then
    first = None if is_kept else prepared.plan.steps[0].candidate.deployment
    if first is None or first.model == was:
        return replace(then, now=was, now_usd=_repriced(receipt, known, today), is_kept=is_kept)
    price = price_at(first.card, today)
    return replace(then, now=first.model, now_usd=None if price is None else cost(usage, price))


def _called(path: RequestPath, receipt: Receipt) -> str:
    """What was asked for; of a trial the arm that this very unit would have now."""
    told = receipt.split
    split = path.routes.find(told.split).split if told is not None and path.routes.is_route(told.split) else None
    if told is None or split is None:
        return receipt.requested_model
    return split.arm_of(told.unit or receipt.request_id)


def reads_words(route: Route) -> bool:
    """Whether its choice hangs on what requests say, beyond what is booked of them."""
    return route.strategy_name in _READS_WORDS or bool(route.classifiers or route.asked)


def _repriced(receipt: Receipt, known: dict[str, Deployment], today: date) -> Decimal:
    """Its attempts at the prices of now; as booked where no price is known."""
    total = ZERO_USD
    for attempt in receipt.attempts:
        deployment = known.get(attempt.deployment)
        price = None if deployment is None else price_at(deployment.card, today)
        if price is None or attempt.usage is None:
            total += attempt.cost_usd or ZERO_USD
        else:
            total += cost(attempt.usage, price)
    return total


def _entry(receipt: Receipt) -> Entry:
    return Entry(request_id=receipt.request_id, arrived_s=time.monotonic(), door="python")


def summed(decisions: Iterable[Decision], baseline: str) -> Replayed:
    every = tuple(decisions)
    counted = [one for one in every if one.now_usd is not None]
    was, now = (
        sum((one.was_usd for one in counted), ZERO_USD),
        sum((one.now_usd for one in counted if one.now_usd is not None), ZERO_USD),
    )
    moves: dict[tuple[str, str | None], list[Decision]] = {}
    for one in every:
        if one.now != one.was:
            moves.setdefault((one.was, one.now), []).append(one)
    told = [
        Move(was=a, now=b, requests=len(some), difference_usd=sum((one.difference_usd for one in some), ZERO_USD))
        for (a, b), some in moves.items()
    ]
    return Replayed(
        baseline=baseline,
        requests=len(every),
        changed=sum(one.now is not None and one.now != one.was for one in every),
        refused=sum(one.now is None for one in every),
        kept=sum(one.is_kept for one in every),
        unpriced=sum(one.now is not None and one.now_usd is None for one in every),
        was_usd=was,
        now_usd=now,
        difference_usd=now - was,
        difference_ratio=float((now - was) / was) if was else None,
        moves=tuple(sorted(told, key=lambda move: -move.requests)),
        most_changed=tuple(
            sorted(
                (one for one in every if one.now != one.was or one.difference_usd),
                key=lambda one: (-abs(one.difference_usd), one.request_id),
            )[:_TOLD]
        ),
    )
