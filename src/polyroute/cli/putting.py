"""One request put to one model, in this process or through a server: what it said, cost and took.

What would fail for every request (a key, a budget, a name nobody knows) is raised; what is this answer's own fault is
told in its place.
"""

import time
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

from msgspec import Struct

from polyroute.cli.client import Client, Refused
from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.errors import (
    BudgetExceeded,
    Forbidden,
    InvalidRequest,
    PolyrouteError,
    PriceUnknown,
    RateLimited,
    StoreError,
    Unauthenticated,
    UnknownModel,
)
from polyroute.journey import Entry
from polyroute.preview import preview
from polyroute.types.access import Caller
from polyroute.wiring.build import Built

_CALLER = Caller(user="cli")
_DIALECT = OpenAIChat()
_ENDS_ALL = (BudgetExceeded, Forbidden, PriceUnknown, RateLimited, StoreError, Unauthenticated, UnknownModel)
_STATUSES_THAT_END_ALL = (401, 402, 403, 404, 429)

Body = dict[str, Any]  # a chat completion's


class Said(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One model's answer. Without `error` it answered."""

    model: str
    text: str = ""
    cost_usd: Decimal | None = None
    latency_ms: float = 0.0
    input_tokens: int | None = None
    output_tokens: int | None = None
    request_id: str | None = None
    score: float | None = None  # 0 to 1, by a judge
    error: str | None = None


class Asker(Protocol):
    async def put(self, body: Body) -> Said: ...

    async def worst_usd(self, body: Body) -> Decimal | None:
        """The most one call can cost; None where a price is not known. Nobody is called."""


class InProcess:
    def __init__(self, built: Built) -> None:
        self._built = built

    async def put(self, body: Body) -> Said:
        request, path = _DIALECT.parse_request(body, {}), self._built.path
        entry, started_s = self._entry(), time.monotonic()
        text, error = "", None
        try:
            answer = await path.answer(request, _CALLER, entry)
            text = path.read(request, answer.reply).text
        except _ENDS_ALL:
            raise
        except PolyrouteError as exc:
            error = exc.message
        took_ms = round((time.monotonic() - started_s) * 1000, 1)
        receipt = await self._built.services.ledger.receipt(entry.request_id)
        usage = None if receipt is None else receipt.usage
        return Said(
            model=body["model"],
            text=text,
            cost_usd=receipt.cost_usd if receipt is not None and receipt.cost_complete else None,
            latency_ms=took_ms,
            input_tokens=None if usage is None else usage.total_input_tokens,
            output_tokens=None if usage is None else usage.total_tokens - usage.total_input_tokens,
            request_id=entry.request_id,
            error=error,
        )

    async def worst_usd(self, body: Body) -> Decimal | None:
        found = preview(await self._built.path.foresee(_DIALECT.parse_request(body, {}), _CALLER, self._entry()))
        return _dearest([note.worst_usd for note in found.candidates])

    def _entry(self) -> Entry:
        return Entry(request_id=self._built.services.new_request_id(), arrived_s=time.monotonic(), door="python")


class ThroughServer:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def put(self, body: Body) -> Said:
        started_s = time.monotonic()
        try:
            answer = await self._client.post("/v1/chat/completions", body)
        except Refused as exc:
            if exc.status in _STATUSES_THAT_END_ALL:
                raise
            return Said(model=body["model"], error=exc.message, latency_ms=_since_ms(started_s))
        usage = answer.body.get("usage") or {}
        return Said(
            model=body["model"],
            text=answer.text,
            cost_usd=_money(answer.report.get("cost_usd")),
            latency_ms=_since_ms(started_s),
            input_tokens=usage.get("prompt_tokens"),
            output_tokens=usage.get("completion_tokens"),
            request_id=answer.report.get("request_id"),
        )

    async def worst_usd(self, body: Body) -> Decimal | None:
        found = (await self._client.post("/v1/route", body)).body
        return _dearest([_money(note.get("worst_usd")) for note in found.get("candidates", ())])


def check_body(body: Body) -> None:
    """Raises InvalidRequest where no model could read it."""
    request = _DIALECT.parse_request(body, {})
    if not request.last_user_text.strip():
        raise InvalidRequest("there is no user message")


def _since_ms(started_s: float) -> float:
    return round((time.monotonic() - started_s) * 1000, 1)


def _dearest(amounts: list[Decimal | None]) -> Decimal | None:
    known = [amount for amount in amounts if amount is not None]
    return max(known) if known and len(known) == len(amounts) else None


def _money(written: object) -> Decimal | None:
    try:
        return None if written is None else Decimal(str(written))
    except InvalidOperation:
        return None
