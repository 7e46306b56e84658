"""The parts that spans and metrics share, in OTLP's JSON form. Source: opentelemetry-proto 1.x, `common.proto`, and the
OTLP specification on JSON: 64-bit integers are strings, ids are hexadecimal.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from polyroute.types.money import format_usd

Json = dict[str, Any]
Value = str | bool | int | float | Decimal | tuple[str, ...]


def attributes(values: Mapping[str, Value | None]) -> list[Json]:
    """Without those that are None. Money is told as an exact number in text."""
    return [{"key": key, "value": _any(value)} for key, value in values.items() if value is not None]


def _any(value: Value) -> Json:
    return _FORMS[type(value)](value)


_FORMS: Mapping[type, Callable[[Any], Json]] = {  # one look-up: this is half of what a span costs
    str: lambda value: {"stringValue": value if value.isascii() else whole(value)},
    bool: lambda value: {"boolValue": value},
    int: lambda value: {"intValue": str(value)},
    float: lambda value: {"doubleValue": value},
    Decimal: lambda value: {"stringValue": format_usd(value)},
    tuple: lambda value: {"arrayValue": {"values": [{"stringValue": whole(item)} for item in value]}},
}


def whole(text: str) -> str:
    """Half a surrogate pair, which JSON may hold, is no character: one mark for it."""
    return text.encode("utf-8", "replace").decode()


def resource(service: str, version: str, instance: str) -> Json:
    named = {"service.name": service, "service.version": version, "service.instance.id": instance}
    return {"attributes": attributes(named)}


def scope(version: str) -> Json:
    return {"name": "polyroute", "version": version}
