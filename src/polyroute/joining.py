"""The money and the books of a request that is answered without a call of its own: again, or by a call it shares.

Rates count it as one request of no tokens. What it will have to pay of a shared call is held against its caller's own
budgets while it waits; budgets of models and providers know of the call itself. The one whose call it is paid all of it
at first, and gets back what the others pay.
"""

import asyncio
from collections.abc import Awaitable
from datetime import datetime
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from polyroute.errors import BudgetExceeded, MalformedReply, PolyrouteError, StoreError
from polyroute.flights import Flight
from polyroute.journey import Parts, Prepared
from polyroute.stages.assembly.savings import saving
from polyroute.stages.assembly.shares import Shares
from polyroute.state.accounts.accounts import Admission
from polyroute.state.accounts.budgets import Hold
from polyroute.types.access import Caller
from polyroute.types.caching import CachedAnswer
from polyroute.types.money import ZERO_USD, round_usd_up
from polyroute.types.receipt import Attempt, Opening, Receipt, RequestState, Settlement


class Ticket(Struct, frozen=True, kw_only=True):
    """Of one who joined."""

    prepared: Prepared
    flight: Flight
    admission: Admission
    hold: Hold

    @property
    def request_id(self) -> str:
        return self.prepared.draft.request_id

    @property
    def pays(self) -> bool:
        return self.request_id in self.flight.paying


class Joining:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def board(self, prepared: Prepared, flight: Flight) -> Ticket:
        """Raises RateLimited, BudgetExceeded, PriceUnknown or StoreError."""
        parts, draft = self._parts, prepared.draft
        flight.join(draft.request_id)
        now_s = parts.around.monotonic()
        try:
            admission = await parts.accounts.enter(draft.caller, 0, now_s, draft.arrived_s + prepared.route.timeout_s)
            try:
                hold = await parts.accounts.reserve(
                    draft.caller, None, _half(prepared), parts.utc_now(), came_at=draft.time
                )
            except BaseException:
                parts.accounts.annul(admission)
                raise
        except BaseException as exc:
            await flight.leave(draft.request_id)
            if draft.request_id in flight.paying:  # it was shared meanwhile
                await self._book_refused(prepared, flight, exc)
            raise
        return Ticket(prepared=prepared, flight=flight, admission=admission, hold=hold)

    async def begun_or_landed(self, ticket: Ticket) -> bool:
        """Whether its answer is there, or told from now on. False: it is as if it had never joined."""
        flight = ticket.flight
        await self._until(ticket, flight.begun_or_over())
        if flight.has_begun and not flight.is_private and not flight.is_over:
            flight.listen(ticket.request_id)
            return True
        if flight.has_begun and flight.is_private:
            return await self._goes_alone(ticket)
        return await self.landed(ticket)

    async def landed(self, ticket: Ticket) -> bool:
        flight = ticket.flight
        await self._until(ticket, flight.over())
        if flight.answer is not None and ticket.pays:
            await flight.leave(ticket.request_id)
            return True
        return await self._goes_alone(ticket)

    async def settle(self, ticket: Ticket, state: RequestState, error: PolyrouteError | None = None) -> Receipt:
        """Durable when it returns, and written also where the caller leaves."""
        parts, draft = self._parts, ticket.prepared.draft
        parts.accounts.leave(ticket.admission)
        attempts = _attempts(ticket)
        ticket.hold.settle(sum((attempt.cost_usd or ZERO_USD for attempt in attempts), ZERO_USD))
        draft.mark(parts.around.monotonic())
        receipt = self._joined(ticket, draft.receipt(state, attempts, parts.around.monotonic(), error=error))
        await self.book(ticket.prepared, receipt, ticket.hold)
        return receipt

    def receipt_so_far(self, ticket: Ticket) -> Receipt:
        return self._joined(ticket, ticket.prepared.draft.receipt("open", (), self._parts.around.monotonic()))

    async def book(self, prepared: Prepared, receipt: Receipt, hold: Hold | None = None) -> None:
        """Opens and settles a request that called nobody: both, also where its caller leaves in between."""
        parts, draft = self._parts, prepared.draft
        opening = Opening(
            request_id=draft.request_id,
            client_request_id=draft.client_request_id,
            opened_at=draft.time,
            caller=draft.caller,
            route=draft.route,
            policy=draft.policy,
            reserved_usd=ZERO_USD,
            attempt=None,
        )
        settlement = Settlement(
            request_id=draft.request_id, settled_at=parts.utc_now(), state=receipt.state, receipt=receipt
        )

        async def write() -> None:
            await parts.ledger.open(opening)
            await parts.ledger.settle(settlement)
            if hold is not None:
                hold.booked()
            parts.observe(receipt)

        writing = asyncio.ensure_future(write())
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.shield(writing)
            raise

    async def _until(self, ticket: Ticket, event: Awaitable[None]) -> None:
        try:
            await event
        except BaseException:
            await self._leave(ticket)
            raise

    async def _leave(self, ticket: Ticket) -> None:
        """Its caller is gone."""
        await ticket.flight.leave(ticket.request_id)
        await self.settle(ticket, "cancelled")

    async def _goes_alone(self, ticket: Ticket) -> bool:
        await ticket.flight.leave(ticket.request_id)
        if ticket.pays:
            lost = MalformedReply("the call that was shared gave an answer that cannot be told whole")
            await self.settle(ticket, "failed", lost)
            raise lost
        ticket.hold.release()
        self._parts.accounts.annul(ticket.admission)
        return False

    async def _book_refused(self, prepared: Prepared, flight: Flight, cause: BaseException) -> None:
        """A share that is due, of one who was refused while the call ended."""
        refused = Ticket(prepared=prepared, flight=flight, admission=Admission(tokens=0), hold=Hold(0, ()))
        await self.settle(refused, "failed", cause if isinstance(cause, PolyrouteError) else None)

    def _joined(self, ticket: Ticket, receipt: Receipt) -> Receipt:
        flight = ticket.flight
        receipt = replace(receipt, cache="coalesced", cache_source=flight.leader)
        if flight.receipt is None or receipt.state in ("failed", "cancelled"):
            return receipt
        return told_again(receipt, flight.receipt, flight.receipt.stop, ticket.prepared)


async def give_back(parts: Parts, caller: Caller, came_at: datetime, shares: Shares) -> None:
    """To the one whose call it was, in its own budgets: what others pay of it."""
    if not shares.given_usd:
        return
    try:
        hold = await parts.accounts.reserve(caller, None, ZERO_USD, parts.utc_now(), came_at=came_at)
    except (BudgetExceeded, StoreError):
        return  # more is spent than allowed, or counters are away: what is counted too much the books correct
    hold.settle(-shares.given_usd)
    hold.booked()


def told_again(receipt: Receipt, like: CachedAnswer | Receipt, stop: str | None, prepared: Prepared) -> Receipt:
    """With what is known of the answer it is about, its usage too, and what it saves against the baseline."""
    draft, saved = prepared.draft, None
    if like.usage is not None and draft.baseline is not None:
        saved = saving(like.usage, receipt.cost_usd, draft.baseline, draft.time.date())
    return replace(
        receipt,
        model=like.model,
        provider=like.provider,
        answered_model=like.answered_model,
        fingerprint=like.fingerprint,
        stop=stop,
        usage=like.usage,
        baseline=saved.baseline if saved else None,
        baseline_usd=saved.baseline_usd if saved else None,
        saved_usd=saved.saved_usd if saved else None,
    )


def _attempts(ticket: Ticket) -> tuple[Attempt, ...]:
    shares = ticket.flight.shares
    return shares.for_request(ticket.request_id) if shares is not None and ticket.pays else ()


def _half(prepared: Prepared) -> Decimal | None:
    """Of the worst case: a call that is shared is shared by two at least."""
    worst_usd = prepared.plan.steps[0].candidate.worst_usd if prepared.plan.steps else ZERO_USD
    return None if worst_usd is None else round_usd_up(worst_usd / 2)
