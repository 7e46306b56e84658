"""OTLP's JSON form written as Protocol Buffers: what every collector must take. Pure.

Source: opentelemetry-proto 1.x (`trace.proto`, `metrics.proto`, `common.proto`, `resource.proto`), whose field numbers
never change; encoding: protobuf.dev, "Encoding". Only the fields that are sent are listed.
"""

import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

Field = tuple[int, str]  # its number; its kind, or the message it holds

MESSAGES: Mapping[str, Mapping[str, Field]] = {
    "Traces": {"resourceSpans": (1, "ResourceSpans")},
    "ResourceSpans": {"resource": (1, "Resource"), "scopeSpans": (2, "ScopeSpans")},
    "ScopeSpans": {"scope": (1, "Scope"), "spans": (2, "Span")},
    "Metrics": {"resourceMetrics": (1, "ResourceMetrics")},
    "ResourceMetrics": {"resource": (1, "Resource"), "scopeMetrics": (2, "ScopeMetrics")},
    "ScopeMetrics": {"scope": (1, "Scope"), "metrics": (2, "Metric")},
    "Resource": {"attributes": (1, "KeyValue")},
    "Scope": {"name": (1, "text"), "version": (2, "text")},
    "KeyValue": {"key": (1, "text"), "value": (2, "AnyValue")},
    "AnyValue": {
        "stringValue": (1, "text"),
        "boolValue": (2, "varint"),
        "intValue": (3, "varint"),
        "doubleValue": (4, "double"),
        "arrayValue": (5, "ArrayValue"),
    },
    "ArrayValue": {"values": (1, "AnyValue")},
    "Span": {
        "traceId": (1, "hex"),
        "spanId": (2, "hex"),
        "traceState": (3, "text"),
        "parentSpanId": (4, "hex"),
        "name": (5, "text"),
        "kind": (6, "varint"),
        "startTimeUnixNano": (7, "fixed64"),
        "endTimeUnixNano": (8, "fixed64"),
        "attributes": (9, "KeyValue"),
        "events": (11, "Event"),
        "status": (15, "Status"),
        "flags": (16, "fixed32"),
    },
    "Event": {"timeUnixNano": (1, "fixed64"), "name": (2, "text")},
    "Status": {"message": (2, "text"), "code": (3, "varint")},
    "Metric": {
        "name": (1, "text"),
        "description": (2, "text"),
        "unit": (3, "text"),
        "gauge": (5, "Numbers"),
        "sum": (7, "Numbers"),
        "histogram": (9, "Histogram"),
    },
    "Numbers": {"dataPoints": (1, "Number"), "aggregationTemporality": (2, "varint"), "isMonotonic": (3, "varint")},
    "Histogram": {"dataPoints": (1, "HistogramPoint"), "aggregationTemporality": (2, "varint")},
    "Number": {
        "startTimeUnixNano": (2, "fixed64"),
        "timeUnixNano": (3, "fixed64"),
        "asDouble": (4, "double"),
        "attributes": (7, "KeyValue"),
    },
    "HistogramPoint": {
        "startTimeUnixNano": (2, "fixed64"),
        "timeUnixNano": (3, "fixed64"),
        "count": (4, "fixed64"),
        "sum": (5, "double"),
        "bucketCounts": (6, "fixed64s"),
        "explicitBounds": (7, "doubles"),
        "attributes": (9, "KeyValue"),
    },
}
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


def encode(message: str, written: Mapping[str, Any]) -> bytes:
    """`written` in OTLP's JSON form. Raises KeyError for a field that is not listed."""
    fields = MESSAGES[message]
    parts: list[bytes] = []
    for name, value in written.items():
        number, kind = fields[name]
        if kind in _SCALARS:
            wire_type, encoded = _SCALARS[kind]
            parts += (_varint(number << 3 | wire_type), encoded(value))
            continue
        tag = _varint(number << 3 | _LENGTH)
        if kind == "KeyValue":
            for pair in value:
                parts += (tag, _prefixed(_key(pair["key"]) + _VALUE + _prefixed(_any(pair["value"]))))
            continue
        for inner in value if isinstance(value, list) else (value,):
            parts += (tag, _prefixed(encode(kind, inner)))
    return b"".join(parts)


def field(message: str, name: str, encoded: bytes) -> bytes:
    """A message that was encoded already, as a field of `message`."""
    return _varint(MESSAGES[message][name][0] << 3 | _LENGTH) + _prefixed(encoded)


def _varint(number: int) -> bytes:
    if number < 0x80:
        return _ONE_BYTE[number] if number >= 0 else _varint(number + (1 << 64))
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _prefixed(data: bytes) -> bytes:
    return _varint(len(data)) + data


def _any(value: Mapping[str, Any]) -> bytes:
    text = value.get("stringValue")  # as nearly all are
    return encode("AnyValue", value) if text is None else _TEXT + _prefixed(text.encode("utf-8", "replace"))


@lru_cache(1024)
def _key(key: str) -> bytes:
    """The first field of a KeyValue: there are few keys, and each span has forty."""
    return field("KeyValue", "key", key.encode())


_VALUE = b"\x12"  # KeyValue's field 2
_TEXT = b"\x0a"  # AnyValue's field 1
_ONE_BYTE = tuple(bytes((number,)) for number in range(0x80))
_SCALARS: Mapping[str, tuple[int, Callable[[Any], bytes]]] = {
    "text": (_LENGTH, lambda value: _prefixed(value.encode("utf-8", "replace"))),
    "hex": (_LENGTH, lambda value: _prefixed(bytes.fromhex(value))),
    "varint": (_VARINT, lambda value: _varint(int(value))),
    "fixed64": (_EIGHT_BYTES, lambda value: int(value).to_bytes(8, "little")),
    "fixed32": (_FOUR_BYTES, lambda value: int(value).to_bytes(4, "little")),
    "double": (_EIGHT_BYTES, lambda value: struct.pack("<d", value)),
    "fixed64s": (_LENGTH, lambda values: _prefixed(struct.pack(f"<{len(values)}Q", *map(int, values)))),
    "doubles": (_LENGTH, lambda values: _prefixed(struct.pack(f"<{len(values)}d", *values))),
}
