"""How each deployment did, by the books: what a simulated one is given to behave alike. Pure."""

from collections.abc import Iterable
from statistics import median

from msgspec import Struct

from polyroute.stores.rows import AttemptRow
from polyroute.types.cards import Deployment

_ENOUGH = 5  # calls; fewer say nothing
_USUAL_MS, _USUAL_TOKENS_PER_S = 800.0, 60.0  # of a deployment that nobody knows anything of


class Behaviour(Struct, frozen=True, kw_only=True):
    """Typical figures, without their spread."""

    deployment: str
    calls: int  # they were seen in; 0: taken from the catalogue or assumed
    latency_ms: float  # to the first token
    tokens_per_s: float | None  # None: it is in the latency
    error_rate: float


def observed(attempts: Iterable[AttemptRow], deployments: Iterable[Deployment]) -> dict[str, Behaviour]:
    """By deployment."""
    rows: dict[str, list[AttemptRow]] = {}
    for attempt in attempts:
        rows.setdefault(attempt.deployment, []).append(attempt)
    return {d.id: _seen(d, rows.get(d.id, [])) for d in deployments}


def _seen(deployment: Deployment, rows: list[AttemptRow]) -> Behaviour:
    answered = [row for row in rows if row.status in ("succeeded", "rejected")]
    failed = [row for row in rows if row.status == "failed" and not _callers_fault(row)]
    ended = len(answered) + len(failed)
    error_rate = len(failed) / ended if ended >= _ENOUGH else 0.0
    if len(answered) < _ENOUGH:
        card = deployment.card
        return Behaviour(
            deployment=deployment.id,
            calls=0,
            latency_ms=_USUAL_MS if card.latency_ms is None else card.latency_ms,
            tokens_per_s=card.tokens_per_s or _USUAL_TOKENS_PER_S,
            error_rate=error_rate,
        )
    streamed = [row for row in answered if row.first_token_ms is not None and row.duration_ms > row.first_token_ms]
    speeds = [
        row.output_tokens * 1000 / (row.duration_ms - row.first_token_ms)
        for row in streamed
        if row.output_tokens and row.first_token_ms is not None
    ]
    if len(speeds) < _ENOUGH:
        whole_ms, speed = median(row.duration_ms for row in answered), None
    else:
        whole_ms, speed = median(row.first_token_ms or 0.0 for row in streamed), median(speeds)
    return Behaviour(
        deployment=deployment.id, calls=ended, latency_ms=whole_ms, tokens_per_s=speed, error_rate=error_rate
    )


def _callers_fault(row: AttemptRow) -> bool:
    return row.http_status is not None and 400 <= row.http_status < 500 and row.http_status not in (401, 403, 429)
