"""One request's money: held and written down before each call, settled after it.

The worst case of an attempt is held against every budget it counts towards, so that what is spent and what is held
never exceed a limit together. Where the money left allows a shorter answer than asked, the answer is clamped. As in
the books, every attempt counts in the windows that the request came in, however late it is made.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from polyroute.catalog import pricing
from polyroute.errors import BudgetExceeded, RateLimited
from polyroute.ports import Ledger
from polyroute.state.accounts.accounts import Accounts, Admission
from polyroute.state.accounts.budgets import Hold
from polyroute.state.accounts.turns import Turn
from polyroute.types.access import Caller
from polyroute.types.cards import Price
from polyroute.types.money import ZERO_USD
from polyroute.types.receipt import AttemptOpening, Opening
from polyroute.types.routing import Candidate, Needs


class Ticket(Struct, frozen=True, kw_only=True):
    """Leave to make one attempt."""

    attempt_id: str
    hold: Hold
    place: Admission  # under the limits of model, deployment and provider
    max_output_tokens: int | None  # what the upstream must be told; None: as the caller asked


class RequestFacts(Struct, frozen=True, kw_only=True):
    """What the books keep of a request from the first moment."""

    request_id: str
    client_request_id: str | None
    caller: Caller
    route: str
    policy: str
    needs: Needs
    came_at: datetime  # the prices of that day hold for the whole request, and budgets count it there
    min_output_tokens: int = 16
    has_ceiling: bool = False  # an attempt's worst case must be a true one, also where no budget applies


class Meter:
    """One per request. `clamped_to` is the shortest answer any attempt was held to; None where none was."""

    def __init__(
        self, facts: RequestFacts, accounts: Accounts, ledger: Ledger, utc_now: Callable[[], datetime]
    ) -> None:
        self._facts = facts
        self._accounts = accounts
        self._ledger = ledger
        self._utc_now = utc_now
        self._turn: Turn | None = None  # come, and not used yet
        self._settled: list[Hold] = []  # which the books lack
        self.clamped_to: int | None = None

    async def begin(
        self, candidate: Candidate, number: int, now_s: float, needs: Needs | None = None, *, is_whole: bool = False
    ) -> Ticket:
        """Durable when it returns. Raises BudgetExceeded, RateLimited, PriceUnknown or StoreError, with nothing held.

        `now_s`: monotonic. `needs`: of a call that asks something else than the request does. `is_whole`: there must
        be money for all that was asked; the answer is not made shorter.
        """
        facts, deployment, now = self._facts, candidate.deployment, self._utc_now()
        asked = tokens_asked(needs or facts.needs)
        where = (deployment.model, deployment.id, deployment.provider)
        place = await self._accounts.occupy(*where, asked, now_s, self._turn)
        self._turn = None
        try:
            hold, worst_usd, max_output_tokens = await self._reserve(candidate, needs or facts.needs, is_whole)
        except BaseException:
            self._accounts.annul(place)
            raise
        attempt = AttemptOpening(
            id=f"{facts.request_id}.{number}",
            request_id=facts.request_id,
            number=number,
            deployment=deployment.id,
            provider=deployment.provider,
            model=deployment.model,
            worst_usd=worst_usd,
            opened_at=now,
        )
        try:
            await self._write(attempt, number, worst_usd)
        except BaseException:
            hold.release()
            self._accounts.annul(place)
            raise
        return Ticket(attempt_id=attempt.id, hold=hold, place=place, max_output_tokens=max_output_tokens)

    def end(self, ticket: Ticket, cost_usd: Decimal | None, tokens: int) -> None:
        """Frees what was held and counts what was spent; without a price there is neither."""
        ticket.hold.settle(ZERO_USD if cost_usd is None else cost_usd)
        self._settled.append(ticket.hold)
        self._accounts.correct(ticket.place, tokens)
        self._accounts.leave(ticket.place)

    def booked(self) -> None:
        """What was spent is in the books."""
        for hold in self._settled:
            hold.booked()

    @property
    def longest_wait_s(self) -> float:
        return self._accounts.longest_wait_s

    async def wait(self, refused: RateLimited, until_s: float) -> None:
        """Until it is the caller's turn where it was refused. Raises RateLimited."""
        turn, self._turn = self._turn, None
        self._turn = await self._accounts.wait(refused, self._facts.caller, turn, until_s)

    def pass_on(self) -> None:
        """It needs its turn no longer."""
        if self._turn is not None:
            self._accounts.pass_on(self._turn)
            self._turn = None

    async def _reserve(
        self, candidate: Candidate, needs: Needs, is_whole: bool
    ) -> tuple[Hold, Decimal | None, int | None]:
        accounts, caller, model = self._accounts, self._facts.caller, candidate.deployment.model
        at, came_at = (candidate.deployment.id, candidate.deployment.provider), self._facts.came_at
        left_usd = accounts.remaining_usd(caller, model, came_at, *at)
        while True:
            worst_usd, tokens = self._affordable(candidate, needs, left_usd, is_whole)
            try:
                hold = await accounts.reserve(caller, model, worst_usd, self._utc_now(), *at, came_at=came_at)
                return hold, worst_usd, tokens
            except BudgetExceeded:  # other replicas have spent meanwhile: perhaps a shorter answer fits
                before_usd, left_usd = left_usd, accounts.remaining_usd(caller, model, came_at, *at)
                if before_usd is None or left_usd is None or left_usd >= before_usd:
                    raise

    async def _write(self, attempt: AttemptOpening, number: int, worst_usd: Decimal | None) -> None:
        if number:
            await self._ledger.open_attempt(attempt)
            return
        facts = self._facts
        await self._ledger.open(
            Opening(
                request_id=facts.request_id,
                client_request_id=facts.client_request_id,
                opened_at=facts.came_at,
                caller=facts.caller,
                route=facts.route,
                policy=facts.policy,
                reserved_usd=worst_usd or ZERO_USD,
                attempt=attempt,
            )
        )

    def _affordable(
        self, candidate: Candidate, needs: Needs, left_usd: Decimal | None, is_whole: bool
    ) -> tuple[Decimal | None, int | None]:
        """The worst case to hold, and the output cap that makes it one; no cap where the caller's or card's holds."""
        facts, deployment, worst_usd = self._facts, candidate.deployment, candidate.worst_usd
        price = pricing.price_at(deployment.card, facts.came_at.date())
        if worst_usd is None or price is None or (left_usd is None and not facts.has_ceiling):
            return worst_usd, None  # an unknown price that the hold may refuse, or nothing to keep within
        if needs.operation != "chat":
            return worst_usd, None  # only a text can be made shorter: the hold takes it whole, or refuses
        if left_usd is None or worst_usd <= left_usd:
            bound_is_known = needs.output_tokens or deployment.card.max_output_tokens
            return worst_usd, None if bound_is_known else candidate.output_bound_tokens
        tokens = 0 if is_whole else _tokens_for(left_usd, candidate, needs, price)
        if tokens < facts.min_output_tokens:
            return worst_usd, None  # the hold refuses it, and names the budget
        self.clamped_to = min(tokens, self.clamped_to or tokens)
        return _worst(candidate, needs, tokens, price), tokens


def tokens_asked(needs: Needs) -> int:
    """What a request may take, as far as its caller bounds it; corrected once it is known."""
    return needs.input_tokens + (needs.output_tokens or 0) * needs.choices


def _worst(candidate: Candidate, needs: Needs, output_tokens: int, price: Price) -> Decimal:
    return pricing.worst_cost(
        candidate.input_bound_tokens,
        output_tokens * needs.choices,
        price,
        cache_writes=needs.caches,
        audio=needs.audio,
        units=needs.units,
    )


def _tokens_for(left_usd: Decimal, candidate: Candidate, needs: Needs, price: Price) -> int:
    """The most output tokens, up to the candidate's bound, whose worst case fits into `left_usd`."""
    fits, too_many = 0, candidate.output_bound_tokens
    if _worst(candidate, needs, 0, price) > left_usd:
        return 0
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if _worst(candidate, needs, middle, price) <= left_usd:
            fits = middle
        else:
            too_many = middle
    return fits
