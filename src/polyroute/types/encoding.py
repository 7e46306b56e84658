"""Values as JSON for people's programs: money as plain decimal numbers, times as RFC 3339."""

import msgspec

_ENCODER = msgspec.json.Encoder(decimal_format="number")


def to_json(value: object) -> bytes:
    return _ENCODER.encode(value)
