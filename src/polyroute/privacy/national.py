"""Numbers that states give to people: social security, tax and identity numbers, passports.

A form that says what it is (letters, fixed separators, a country's prefix) is enough where its check digits fit. Bare
digits, whose check one number in ten would pass, count only after a label.
"""

from collections.abc import Callable, Iterator

import re2
from msgspec import Struct

from polyroute.privacy import checksums
from polyroute.types.privacy import Finding


class _Form(Struct, frozen=True):
    pattern: str  # its first group, where it has one, is the number
    fits: Callable[[str], bool]  # of the number in capitals, without separators
    confidence: float


def _canadian(digits: str) -> bool:
    return digits[0] not in "08" and checksums.luhn(digits)


def _british(number: str) -> bool:
    """HMRC's manual, NIM39110: what is never given out."""
    return number[0] not in "DFIQUV" and number[1] not in "DFIOQUV" and number[:2] not in (
        "BG", "GB", "KN", "NK", "NT", "TN", "ZZ",
    )  # fmt: skip


def _swedish(number: str) -> bool:
    return checksums.swedish_personal(number[-10:])


def _polish(digits: str) -> bool:
    return checksums.polish_pesel(digits)


_LABEL = r"[ \t]*(?:no|nr|num|number|nummer|id|is)?[ \t.:#=]{0,4}"
_FORMS = (
    _Form(r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b", checksums.us_ssn, 0.9),
    _Form(rf"(?i)\b(?:ssn|social security){_LABEL}([0-9]{{3}} ?[0-9]{{2}} ?[0-9]{{4}})\b", checksums.us_ssn, 0.85),
    _Form(r"\b[A-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]\b", _british, 0.8),
    _Form(
        r"\b[12] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}\b", checksums.french_nir, 0.95
    ),
    _Form(r"\b(?:[0-9]{8}|[XYZ]-?[0-9]{7})-?[A-Z]\b", checksums.spanish_dni, 0.9),
    _Form(
        r"\b[A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]\b",
        checksums.italian_cf,
        0.99,
    ),
    _Form(r"\b756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}\b", checksums.swiss_ahv, 0.99),
    _Form(r"\b[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}\b", checksums.brazilian_cpf, 0.99),
    _Form(r"\b(?:19|20)?[0-9]{6}[-+][0-9]{4}\b", _swedish, 0.85),
    _Form(
        rf"(?i)\b(?:steuer-?id|steueridentifikationsnummer|idnr|tax id){_LABEL}"
        r"([0-9]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{3})\b",
        checksums.german_tax_id,
        0.95,
    ),
    _Form(rf"(?i)\b(?:bsn|burgerservicenummer|sofinummer){_LABEL}([0-9]{{9}})\b", checksums.dutch_bsn, 0.95),
    _Form(rf"(?i)\bpesel{_LABEL}([0-9]{{11}})\b", _polish, 0.95),
    _Form(rf"(?i)\b(?:sin|social insurance){_LABEL}([0-9]{{3}}[ -]?[0-9]{{3}}[ -]?[0-9]{{3}})\b", _canadian, 0.95),
    _Form(rf"(?i)\b(?:cpf){_LABEL}([0-9]{{11}})\b", checksums.brazilian_cpf, 0.95),
)
_COMPILED = tuple((re2.compile(form.pattern), form) for form in _FORMS)
_PASSPORTS = re2.compile(
    r"(?i)\b(?:passport|reisepass|passeport|pasaporte|passaporto|paspoort|passaporte)(?:nummer)?"
    r"[ \t]*(?:no|nr|num|number|numéro|número|numero|id|is|#|№)?[ \t.:#=°]{0,4}([A-Z0-9]{6,9})\b"
)


def national_ids(text: str) -> Iterator[Finding]:
    for pattern, form in _COMPILED:
        for found in pattern.finditer(text):
            group = 1 if pattern.groups else 0
            number = "".join(c for c in found.group(group).upper() if c.isalnum())
            if form.fits(number):
                start, end = found.span(group)
                yield Finding(kind="national_id", start=start, end=end, confidence=form.confidence)


def passports(text: str) -> Iterator[Finding]:
    """Nothing in a passport's number tells what it is, so that only a label does."""
    for found in _PASSPORTS.finditer(text):
        if sum(character.isdecimal() for character in found.group(1)) >= 5:
            yield Finding(kind="passport", start=found.start(1), end=found.end(1), confidence=0.7)
