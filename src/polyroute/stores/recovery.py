"""What the books say of a request whose process died before settling it. Pure.

Nobody knows how its attempts ended or what the provider billed. So each is booked as "unknown" at its
reservation, the worst case at which it was opened: the request's cost is an upper bound, never too low. An
attempt whose price was unknown has no cost, and the request's cost is then marked incomplete.
"""

from collections.abc import Iterable
from datetime import datetime

from polyroute.types.money import ZERO_USD, round_usd_up
from polyroute.types.receipt import Attempt, AttemptOpening, AttemptStatus, Opening, Receipt, Settlement

_MESSAGE = "the gateway stopped before this request ended; its cost is the reservation, an upper bound"


def _attempt(opening: AttemptOpening, opened_at: datetime, status: AttemptStatus) -> Attempt:
    is_open = status == "open"
    return Attempt(
        id=opening.id,
        step=opening.number,
        deployment=opening.deployment,
        provider=opening.provider,
        model=opening.model,
        upstream_model="",
        status=status,
        started_ms=(opening.opened_at - opened_at).total_seconds() * 1000,
        cost_usd=None if is_open or opening.worst_usd is None else round_usd_up(opening.worst_usd),
    )


def _opened(opening: Opening, later: Iterable[AttemptOpening], status: AttemptStatus) -> tuple[Attempt, ...]:
    openings = [opening.attempt, *later] if opening.attempt else list(later)
    if len(openings) > 1:
        openings.sort(key=lambda attempt: attempt.number)
    return tuple(_attempt(attempt, opening.opened_at, status) for attempt in openings)


def in_flight(opening: Opening, later: Iterable[AttemptOpening] = ()) -> Receipt:
    """What can be said of a request that is still open: nothing is spent until it is settled."""
    return Receipt(
        request_id=opening.request_id,
        client_request_id=opening.client_request_id,
        time=opening.opened_at,
        caller=opening.caller,
        door="",
        route=opening.route,
        requested_model="",
        policy=opening.policy,
        state="open",
        attempts=_opened(opening, later, "open"),
    )


def recover(opening: Opening, later: Iterable[AttemptOpening], at: datetime) -> Settlement:
    """The settlement of a request that nobody else will settle; `later` are its attempts after the first."""
    attempts = _opened(opening, later, "unknown")
    costs = [attempt.cost_usd for attempt in attempts]
    receipt = Receipt(
        request_id=opening.request_id,
        client_request_id=opening.client_request_id,
        time=opening.opened_at,
        caller=opening.caller,
        door="",
        route=opening.route,
        requested_model="",
        policy=opening.policy,
        state="recovered",
        attempts=attempts,
        cost_usd=sum((cost for cost in costs if cost is not None), ZERO_USD),
        cost_complete=None not in costs,
        error="Interrupted",
        error_message=_MESSAGE,
    )
    return Settlement(request_id=opening.request_id, settled_at=at, state="recovered", receipt=receipt)
