"""Telephone numbers in a text. Only what looks like one is put to the numbering plans (`polyroute[pii]`).

With a country's code it is one wherever it is valid; without, it must be valid in one of the regions that the document
names, and be written in groups, begin with 0, or follow a label.
"""

from collections.abc import Iterator

import phonenumbers
import re2
from phonenumbers import NumberParseException

from polyroute.types.privacy import Finding

_INTERNATIONAL = re2.compile(r"(?:\+|\b00)[1-9][0-9]{0,2}[0-9 ()./-]{4,20}[0-9]")
_NATIONAL = re2.compile(r"\(?\b[0-9]{2,6}\)?[ ./-]{0,2}[0-9][0-9 .-]{3,14}[0-9]\b")
_DATES = re2.compile(
    r"(?:19|20)[0-9]{2}[ ./-][0-9]{1,2}[ ./-][0-9]{1,2}|[0-9]{1,2}[ ./-][0-9]{1,2}[ ./-](?:19|20)[0-9]{2}"
)
_LABELS = re2.compile(
    r"(?i)(?:tel|phone|telephone|telefon|téléphone|telefono|teléfono|mobile|mobil|handy|cell|call|fax)"
    r"[a-z]{0,6}[ .:#=]{0,4}$"
)
_LABEL_CHARACTERS = 24
_LEAST_UNLABELLED = 9  # digits; shorter ones are as often something else
_MOST_CHECKED = 1000  # of one text; in what follows, looking like a number is enough


class Phones:
    """Stateless; safe to share."""

    def __init__(self, regions: tuple[str, ...]) -> None:
        """Raises ValueError naming what is no region."""
        for region in regions:
            if region not in phonenumbers.SUPPORTED_REGIONS:
                raise ValueError(f"`{region}` is no region with telephone numbers: two capital letters, such as DE")
        self._regions = regions

    def find(self, text: str) -> Iterator[Finding]:
        left = _MOST_CHECKED
        for found in _INTERNATIONAL.finditer(text):
            written = found.group(0)
            number = f"+{written[2:]}" if written.startswith("00") else written
            if _is_glued(text, found.start(), found.end()):
                continue
            left -= 1
            if left < 0 or _is_valid(number, None):
                yield Finding(kind="phone", start=found.start(), end=found.end(), confidence=0.95 if left >= 0 else 0.5)
        for found in _NATIONAL.finditer(text):
            written = found.group(0)
            digits = sum(character.isdecimal() for character in written)
            if not 7 <= digits <= 15 or _is_glued(text, found.start(), found.end()) or _DATES.match(written):
                continue
            is_labelled = _LABELS.search(text[max(0, found.start() - _LABEL_CHARACTERS) : found.start()]) is not None
            is_grouped = digits >= _LEAST_UNLABELLED and (digits < len(written) or written.startswith("0"))
            if not (is_grouped or is_labelled):
                continue
            left -= 1
            if left < 0 or any(_is_valid(written, region) for region in self._regions):
                confidence = 0.5 if left < 0 else 0.85 if is_labelled else 0.6
                yield Finding(kind="phone", start=found.start(), end=found.end(), confidence=confidence)


def _is_valid(written: str, region: str | None) -> bool:
    try:
        number = phonenumbers.parse(written, region)
    except NumberParseException:
        return False
    return phonenumbers.is_valid_number(number)


def _is_glued(text: str, start: int, end: int) -> bool:
    before, after = text[max(0, start - 1) : start], text[end : end + 1]
    return before.isalnum() or after.isalnum() or before in ("+", "_", "-", ".") or after == "_"
