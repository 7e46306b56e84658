"""The call that names a task instead of a wire format: `execute(task=…, input=…, strategy=…, models=[…])`.

The Python object and `POST /v1/execute` are this one call. With `models`, the strategy is put over them for this call
alone; without, the task's own route decides, or the default route where no route bears the task's name.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal

from msgspec import Struct

from polyroute.dialects import fields
from polyroute.errors import InvalidRequest
from polyroute.prompts.variables import OWN_FIELD
from polyroute.stages.route import Route, Routes
from polyroute.types.content import Message, Text
from polyroute.types.receipt import Receipt
from polyroute.types.request import Request
from polyroute.types.response import Response

AdHoc = Callable[[str, tuple[str, ...], tuple[Mapping[str, object], ...]], Route]
DEFAULT_STRATEGY = "cascade"
DEFAULT_ROUTE = "auto"
_MAX_MODELS = 16


class Call(Struct, frozen=True, kw_only=True):
    input: str
    task: str | None = None
    strategy: str | None = None
    models: tuple[str, ...] = ()
    gates: tuple[Mapping[str, object], ...] = ()
    system: str | None = None
    max_output_tokens: int | None = None
    variables: Mapping[str, object] = {}  # of the route's prompt


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of a call. The same members as HTTP's answer."""

    id: str
    output: str
    model: str
    provider: str
    attempts: tuple[Mapping[str, object], ...]
    cost_usd: Decimal
    cost_complete: bool  # False: an attempt had no known price
    saved_usd: Decimal | None
    baseline: str | None
    receipt: Receipt


def parse_call(body: dict[str, object]) -> Call:
    """Raises InvalidRequest that names the field."""
    known = Call.__struct_fields__
    for name in body:
        if name not in known:
            shown = ", ".join(f"`{field}`" for field in known)
            raise InvalidRequest(f"`{name[:80]}` is not a field of this call; it has {shown}", field=name[:80])
    if body.get("input") is None:
        fields.missing("input", "the text to work on")
    cap = body.get("max_output_tokens")
    return Call(
        input=fields.text(body["input"], "input"),
        task=_text_or_none(body, "task"),
        strategy=_text_or_none(body, "strategy"),
        models=tuple(fields.text(m, f"models[{i}]") for i, m in enumerate(_list(body, "models"))),
        gates=tuple(fields.mapping(g, f"gates[{i}]") for i, g in enumerate(_list(body, "gates"))),
        system=_text_or_none(body, "system"),
        max_output_tokens=None if cap is None else fields.integer(cap, "max_output_tokens", 1),
        variables={} if body.get("variables") is None else fields.mapping(body["variables"], "variables"),
    )


def resolve(call: Call, routes: Routes, ad_hoc: AdHoc) -> tuple[Request, Route]:
    """The request and the route it goes by. Raises InvalidRequest or UnknownModel."""
    if len(call.models) > _MAX_MODELS:
        raise InvalidRequest(f"`models` names {len(call.models)} models, at most {_MAX_MODELS} fit", field="models")
    named = call.task if call.task is not None and routes.is_route(call.task) else DEFAULT_ROUTE
    if call.models:
        route = ad_hoc(call.strategy or DEFAULT_STRATEGY, call.models, call.gates)
    elif call.strategy or call.gates:
        raise InvalidRequest("`models` is missing: name the models that the strategy may use", field="models")
    else:
        route = routes.find(named)
    messages = [Message(role="system", parts=(Text(text=call.system),))] if call.system else []
    messages.append(Message(role="user", parts=(Text(text=call.input),)))
    request = Request(
        model=route.name,
        messages=tuple(messages),
        max_output_tokens=call.max_output_tokens,
        extensions={OWN_FIELD: {"variables": call.variables}} if call.variables else {},
    )
    return request, route


def outcome(response: Response, receipt: Receipt) -> Outcome:
    attempts = tuple(
        {
            "model": attempt.model,
            "provider": attempt.provider,
            "status": attempt.status,
            "error": attempt.error,
            "duration_ms": attempt.duration_ms,
            "cost_usd": attempt.cost_usd,
            "purpose": attempt.purpose,
            "verdicts": [
                {
                    "gate": v.gate,
                    "accepted": v.accepted,
                    "score": v.score,
                    "reasons": v.reasons,
                    "cost_usd": v.cost_usd,
                }
                for v in attempt.verdicts
            ],
        }
        for attempt in receipt.attempts
    )
    return Outcome(
        id=receipt.request_id,
        output=response.text,
        model=receipt.model or "",
        provider=receipt.provider or "",
        attempts=attempts,
        cost_usd=receipt.cost_usd,
        cost_complete=receipt.cost_complete,
        saved_usd=receipt.saved_usd,
        baseline=receipt.baseline,
        receipt=receipt,
    )


def _text_or_none(body: dict[str, object], name: str) -> str | None:
    value = body.get(name)
    return None if value is None else fields.text(value, name)


def _list(body: dict[str, object], name: str) -> list[object]:
    value = body.get(name)
    return [] if value is None else fields.array(value, name)
