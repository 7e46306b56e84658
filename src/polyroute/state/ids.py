"""Ids that sort by time: prefix, milliseconds, random bits, all in fixed-width hexadecimal.

The layout of RFC 9562's UUID version 7 without its version bits: 48 bits of Unix milliseconds, then 80 random ones.
"""

RANDOM_BITS = 80
_TIME_MASK = (1 << 48) - 1
_RANDOM_MASK = (1 << RANDOM_BITS) - 1


def new_id(prefix: str, unix_ms: int, random_bits: int) -> str:
    """`req_0199…`: ids with one prefix sort as their milliseconds do. `random_bits` above 80 are cut off."""
    return f"{prefix}_{unix_ms & _TIME_MASK:012x}{random_bits & _RANDOM_MASK:020x}"
