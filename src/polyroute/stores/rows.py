"""The final rows of the books as values, and the settlement that becomes them. Pure; money as integer nano-dollars."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from polyroute.types.money import from_nanos, round_usd, round_usd_up, to_nanos
from polyroute.types.receipt import Amended, Attempt, Receipt, Settlement
from polyroute.types.response import Usage

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NANOS_PER_USD = Decimal(1_000_000_000)


class RequestRow(Struct, frozen=True):
    """One request, settled. Field for field the columns as stored, in their order."""

    id: str
    client_request_id: str | None
    opened_us: int
    settled_us: int
    tenant: str
    team: str
    user: str
    key_id: str | None
    route: str
    policy: str
    state: str
    reserved_nanos: int | None  # None: settled without an opening
    cost_nanos: int
    cost_complete: bool
    baseline: str | None
    baseline_nanos: int | None
    saved_nanos: int | None
    model: str | None
    provider: str | None
    cache: str
    total_ms: float
    overhead_ms: float


class AttemptRow(Struct, frozen=True):
    """One attempt, ended. Field for field the columns as stored, in their order.

    Status "unknown": the process died, and `cost_nanos` is the reservation, an upper bound.
    """

    request_id: str
    id: str
    number: int
    deployment: str
    provider: str
    model: str
    upstream_model: str
    answered_model: str | None
    status: str
    error: str | None
    http_status: int | None
    cost_nanos: int | None  # None: price unknown
    input_tokens: int | None  # None, here and below: no usage known
    cached_input_tokens: int | None
    cache_write_tokens: int | None
    cache_write_1h_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    input_audio_tokens: int | None
    output_audio_tokens: int | None
    estimated: bool | None
    started_ms: float
    first_token_ms: float | None
    duration_ms: float


def request_row(columns: Sequence[Any]) -> RequestRow:
    """From what a store gives back, where 0 and 1 stand for False and True."""
    row = RequestRow(*columns)
    return replace(row, cost_complete=bool(row.cost_complete))


def attempt_row(columns: Sequence[Any]) -> AttemptRow:
    row = AttemptRow(*columns)
    if row.id.startswith(_OWN):
        row = replace(row, id=row.request_id + row.id)
    return row if row.estimated is None else replace(row, estimated=bool(row.estimated))


_OWN = "."


def attempt_key(request_id: str, attempt_id: str) -> str:
    """As stored: what follows the request's id where the attempt's begins with it, as ours do (`req_….0`)."""
    own = attempt_id[len(request_id) :] if attempt_id.startswith(request_id) else ""
    return own if own.startswith(_OWN) else attempt_id


def to_micros(time: datetime) -> int:
    """Unix microseconds, exact."""
    return (time - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def nanos_of(amount: Decimal | None) -> int | None:
    if amount is None:
        return None
    nanos = amount * _NANOS_PER_USD
    whole = int(nanos)
    return whole if whole == nanos else to_nanos(round_usd(amount))  # rounding takes longer than all the rest


_MOST_NANOS = 2**63 - 1  # a column holds 64 bits
_MOST_USD = from_nanos(_MOST_NANOS)


def unbookable(settlement: Settlement) -> str | None:
    """Why no row can hold it; None where rows can. Everything else that a row asks for, the types promise."""
    receipt = settlement.receipt
    if settlement.state == "open" or receipt.state == "open":
        return "it is not final"
    for amount in (receipt.cost_usd, receipt.baseline_usd, receipt.saved_usd):
        if amount is not None and abs(amount) > _MOST_USD:
            return f"{amount} USD is more than the books can hold"
    ids = set()
    for attempt in receipt.attempts:
        ids.add(attempt.id)
        if attempt.status == "open":
            return f"attempt {attempt.id} is not final"
        if attempt.cost_usd is not None and abs(attempt.cost_usd) > _MOST_USD:
            return f"attempt {attempt.id} costs {attempt.cost_usd} USD, more than the books can hold"
        if attempt.usage is not None and max(_tokens(attempt.usage)) > _MOST_NANOS:
            return f"attempt {attempt.id} has more tokens than the books can hold"
    return None if len(ids) == len(receipt.attempts) else "two of its attempts have the same id"


def request_values(settlement: Settlement, reserved_usd: Decimal | None, replica: str) -> tuple[object, ...]:
    """Every column of `RequestRow` in its order, then who settled it; True and False as 1 and 0, which is faster."""
    receipt = settlement.receipt
    caller = receipt.caller
    return (
        settlement.request_id,
        receipt.client_request_id,
        to_micros(receipt.time),
        to_micros(settlement.settled_at),
        caller.tenant,
        caller.team,
        caller.user,
        caller.key_id,
        receipt.route,
        receipt.policy,
        settlement.state,
        None if reserved_usd is None else to_nanos(round_usd_up(reserved_usd)),
        nanos_of(receipt.cost_usd),
        int(receipt.cost_complete),
        receipt.baseline,
        nanos_of(receipt.baseline_usd),
        nanos_of(receipt.saved_usd),
        receipt.model,
        receipt.provider,
        receipt.cache,
        receipt.total_ms,
        receipt.overhead_ms,
        replica,
    )


def amended_request(receipt: Receipt) -> tuple[object, ...]:
    """As the query `amend_request` takes it."""
    return (
        nanos_of(receipt.cost_usd),
        int(receipt.cost_complete),
        receipt.baseline,
        nanos_of(receipt.baseline_usd),
        nanos_of(receipt.saved_usd),
        receipt.request_id,
    )


def amended_attempts(amended: Amended) -> list[tuple[object, ...]]:
    """Those that changed, as the query `amend_attempt` takes them."""
    request_id = amended.after.request_id
    before = {attempt.id: attempt for attempt in amended.before.attempts}
    return [
        (nanos_of(attempt.cost_usd), *_usage_values(attempt.usage), request_id, attempt_key(request_id, attempt.id))
        for attempt in amended.after.attempts
        if attempt != before.get(attempt.id)
    ]


_NO_USAGE = (None,) * 9


def _usage_values(usage: Usage | None) -> tuple[object, ...]:
    return _NO_USAGE if usage is None else (*_tokens(usage), int(usage.estimated))


def _tokens(usage: Usage) -> tuple[int, ...]:
    return (
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.cache_write_tokens,
        usage.cache_write_1h_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        usage.input_audio_tokens,
        usage.output_audio_tokens,
    )


def attempt_values(request_id: str, number: int, attempt: Attempt) -> tuple[object, ...]:
    """Every column of `AttemptRow` in its order."""
    return (
        request_id,
        attempt_key(request_id, attempt.id),
        number,
        attempt.deployment,
        attempt.provider,
        attempt.model,
        attempt.upstream_model,
        attempt.answered_model,
        attempt.status,
        attempt.error,
        attempt.http_status,
        nanos_of(attempt.cost_usd),
        *_usage_values(attempt.usage),
        attempt.started_ms,
        attempt.first_token_ms,
        attempt.duration_ms,
    )
