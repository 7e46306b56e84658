"""Payment cards and bank accounts in a text, by issuer, length and checksum."""

from collections.abc import Iterator
from functools import lru_cache

import re2

from polyroute.privacy.checksums import luhn, mod97
from polyroute.types.privacy import Finding

_RUNS = re2.compile(r"[0-9]{2,}(?:[ -][0-9]{2,})*")
_GROUPS = re2.compile(r"[0-9]+")
_ACCOUNTS = re2.compile(r"\b[A-Za-z]{2}[0-9]{2}[ -]?[A-Za-z0-9]{2}")
_SHORTEST, _LONGEST, _MOST_GROUPS = 12, 19, 6
_NETWORKS: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    # First and last of the leading digits, and the lengths: ISO/IEC 7812 ranges as the networks publish them.
    (4, 4, (13, 16, 19)),  # Visa
    (51, 55, (16,)), (2221, 2720, (16,)),  # Mastercard
    (34, 34, (15,)), (37, 37, (15,)),  # American Express
    (6011, 6011, (16, 19)), (644, 649, (16, 19)), (65, 65, (16, 19)),  # Discover
    (300, 305, (14, 16, 19)), (36, 36, (14, 16, 19)), (38, 39, (14, 16, 19)),  # Diners Club
    (3528, 3589, (16, 17, 18, 19)),  # JCB
    (62, 62, (16, 17, 18, 19)), (81, 81, (16, 17, 18, 19)),  # UnionPay
    (5018, 5018, (12, 13, 14, 15, 16, 17, 18, 19)), (5020, 5020, (12, 13, 14, 15, 16, 17, 18, 19)),  # Maestro
    (5038, 5038, (12, 13, 14, 15, 16, 17, 18, 19)), (5893, 5893, (12, 13, 14, 15, 16, 17, 18, 19)),
    (6304, 6304, (12, 13, 14, 15, 16, 17, 18, 19)), (6759, 6763, (12, 13, 14, 15, 16, 17, 18, 19)),
    (2200, 2204, (16, 17, 18, 19)),  # Mir
)  # fmt: skip
_LENGTHS = {  # of an IBAN by country: SWIFT's IBAN registry, release 97
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15,
    "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19,
    "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip


def cards(text: str) -> Iterator[Finding]:
    """Cards written in one piece, or in groups with single spaces or hyphens; other groups may stand around them."""
    for run in _RUNS.finditer(text):
        if run.end() - run.start() < _SHORTEST or _is_glued(text, run.start(), run.end()):
            continue
        groups = [(run.start() + g.start(), run.start() + g.end()) for g in _GROUPS.finditer(run.group(0))]
        first = 0
        while first < len(groups):
            last = _card_from(text, groups, first)
            if last is None:
                first += 1
                continue
            yield Finding(kind="card", start=groups[first][0], end=groups[last][1], confidence=0.95)
            first = last + 1


def accounts(text: str) -> Iterator[Finding]:
    for start in _ACCOUNTS.finditer(text):
        length = _LENGTHS.get(text[start.start() : start.start() + 2].upper())
        if length is None:
            continue
        read, at = "", start.start()
        while len(read) < length and at < len(text):
            character = text[at]
            if character.isascii() and character.isalnum():
                read += character.upper()
            elif character not in " -":
                break
            at += 1
        if len(read) == length and not text[at : at + 1].isalnum() and read[2:4].isdecimal() and mod97(read):
            yield Finding(kind="iban", start=start.start(), end=at, confidence=0.99)


def _card_from(text: str, groups: list[tuple[int, int]], first: int) -> int | None:
    """The last group of the longest card that begins with group `first`."""
    digits, found = "", None
    for at in range(first, min(first + _MOST_GROUPS, len(groups))):
        start, end = groups[at]
        if len(digits) + end - start > _LONGEST:
            break
        digits += text[start:end]
        if len(digits) >= _SHORTEST and len(digits) in _lengths_for(digits[:4]) and luhn(digits):
            found = at
    return found


@lru_cache(10_000)  # as many as there are
def _lengths_for(leading: str) -> frozenset[int]:
    """How long the numbers are that are issued with these first four digits."""
    found: set[int] = set()
    for first, last, lengths in _NETWORKS:
        if first <= int(leading[: len(str(first))]) <= last:
            found.update(lengths)
    return frozenset(found)


def _is_glued(text: str, start: int, end: int) -> bool:
    """Part of a longer word or of a decimal number."""
    before, after = text[start - 1 : start], text[end : end + 1]
    if before.isalnum() or before == "_" or after.isalnum() or after == "_":
        return True
    return before == "." and text[start - 2 : start - 1].isdecimal() if start >= 2 else False
