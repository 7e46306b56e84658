"""What a provider says it was used for, read from its own export. Pure; the format is told by the fields.

JSON: OpenAI's usage and costs APIs (`/v1/organization/usage/completions`, `/v1/organization/costs`) and Anthropic's
usage and cost reports (`/v1/organizations/usage_report/messages`, `/cost_report`), a page or a list of pages. CSV: the
exports of both consoles, and `day,model,requests,input_tokens,output_tokens,cost_usd`, where all after `model` may
be missing. Sources: the providers' API references on usage and cost, 2025.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation

import msgspec

from polyroute.errors import InvalidRequest
from polyroute.stores.reconcile import Spell

_CENTS = Decimal(100)  # Anthropic's cost report counts in the currency's smallest unit
_DAYS = ("day", "date", "usage_date_utc", "start_time_iso", "starting_at", "start_time", "usage_date")
_MODELS = ("model", "model_version", "snapshot_id", "line_item")
_REQUESTS = ("requests", "num_model_requests", "num_requests")
_INPUTS: tuple[tuple[str, ...], ...] = (
    ("usage_input_tokens_no_cache", "usage_input_tokens_cache_write_5m", "usage_input_tokens_cache_write_1h",
     "usage_input_tokens_cache_read"),
    ("uncached_input_tokens", "cache_read_input_tokens", "cache_creation.ephemeral_5m_input_tokens",
     "cache_creation.ephemeral_1h_input_tokens"),
    ("input_tokens",),
)  # fmt: skip
_OUTPUTS = ("output_tokens", "usage_output_tokens")
_COSTS = ("cost_usd", "amount_value", "amount.value", "cost")

Row = Mapping[str, object]


def read_export(text: str) -> list[Spell]:
    """Raises InvalidRequest naming what cannot be read."""
    rows = _json_rows(text) if text.lstrip()[:1] in ("{", "[") else _csv_rows(text)
    return [spell for number, row in enumerate(rows, 1) if (spell := _spell(row, number)) is not None]


def _csv_rows(text: str) -> Iterator[Row]:
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    for row in reader:
        yield {
            name.strip().lower(): value for name, value in row.items() if name is not None and value not in ("", None)
        }


def _json_rows(text: str) -> Iterator[Row]:
    try:
        told = msgspec.json.decode(text, strict=False)
    except msgspec.DecodeError as fault:
        raise InvalidRequest(f"the export is no JSON: {fault}") from None
    for page in told if isinstance(told, list) else [told]:
        buckets = page.get("data", [page]) if isinstance(page, dict) else [page]
        for bucket in buckets if isinstance(buckets, list) else []:
            if not isinstance(bucket, dict):
                raise InvalidRequest("the export holds no buckets: give a page of the provider's usage or cost API")
            results = bucket.get("results", bucket.get("result"))
            for result in results if isinstance(results, list) else [bucket]:
                yield {**_day_of(bucket), **_flat(result)}


def _day_of(bucket: dict[str, object]) -> Row:
    return {name: bucket[name] for name in _DAYS if name in bucket}


def _flat(result: object) -> dict[str, object]:
    """`{amount: {value: 1}}` as `amount.value`."""
    found: dict[str, object] = {}
    for name, value in result.items() if isinstance(result, dict) else ():
        if isinstance(value, dict):
            found |= {f"{name}.{inner}": deep for inner, deep in value.items()}
        elif value is not None:
            found[name] = value
    return found


def _spell(row: Row, number: int) -> Spell | None:
    """None for what was bought beside tokens of a model: storage, web searches."""
    written_day, written_model = _first(row, _DAYS), _first(row, _MODELS)
    if written_day is None:
        raise InvalidRequest(f"row {number} of the export has no day: one of {', '.join(_DAYS)}", field="day")
    if written_model is None:
        if _first(row, (*_REQUESTS, *_OUTPUTS)) is None:
            return None
        raise InvalidRequest(
            f"row {number} of the export names no model: export it grouped by model and day", field="model"
        )
    inputs = next((names for names in _INPUTS if any(name in row for name in names)), ())
    cost = _amount(row, _COSTS, number)
    if cost is None and "amount" in row:
        cost = _amount(row, ("amount",), number)
        cost = None if cost is None else cost / _CENTS
    return Spell(
        day=_day(written_day, number),
        model=str(written_model).partition(",")[0],  # a line item is "gpt-4o-2024-08-06, input"
        requests=_count(row, _REQUESTS, number),
        input_tokens=sum(_count(row, (name,), number) or 0 for name in inputs) if inputs else None,
        output_tokens=_count(row, _OUTPUTS, number),
        cost_usd=cost,
    )


def _day(written: object, number: int) -> date:
    text = str(written)
    if text.replace(".", "", 1).isdecimal() and len(text) >= 9:
        return datetime.fromtimestamp(float(text), UTC).date()
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"row {number} of the export: {text[:40]!r} is no day", field="day") from None
    return (at if at.tzinfo is None else at.astimezone(UTC)).date()


def _count(row: Row, names: Iterable[str], number: int) -> int | None:
    amount = _amount(row, names, number)
    return None if amount is None else int(amount)


def _amount(row: Row, names: Iterable[str], number: int) -> Decimal | None:
    value = _first(row, names)
    if value is None:
        return None
    try:
        amount = Decimal(str(value).strip().removeprefix("$").replace(",", ""))
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite():
        raise InvalidRequest(f"row {number} of the export: {str(value)[:40]!r} is no amount")
    return amount


def _first(row: Row, names: Iterable[str]) -> object | None:
    return next((row[name] for name in names if name in row), None)
