"""Values as JSON for people's programs: money as plain decimal numbers, times as RFC 3339, every field present.

Kept receipts leave defaults out, which makes them a third of the size; who asks for one gets it whole.
"""

from decimal import Decimal

import msgspec
from msgspec.structs import asdict

from polyroute.types.money import format_usd

_ENCODER = msgspec.json.Encoder()


def to_json(value: object) -> bytes:
    return _ENCODER.encode(_whole(value))


def _whole(value: object) -> object:
    if isinstance(value, msgspec.Struct):
        return {name: _whole(inner) for name, inner in asdict(value).items()}
    if isinstance(value, list | tuple):
        return [_whole(inner) for inner in value]
    if isinstance(value, dict):
        return {name: _whole(inner) for name, inner in value.items()}
    if isinstance(value, Decimal):
        return msgspec.Raw(format_usd(value).encode())
    return value
