"""Finds personal data in a text. Linear in its length; what overlaps is told once, as the surest of its kinds."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Protocol

from msgspec import Struct

from polyroute.privacy import national, network, numbers, secrets
from polyroute.types.privacy import KINDS, Finding, PiiKind

_BY_FORM: Mapping[PiiKind, Callable[[str], Iterator[Finding]]] = {
    "email": network.emails,
    "card": numbers.cards,
    "iban": numbers.accounts,
    "ip": network.addresses,
    "national_id": national.national_ids,
    "passport": national.passports,
    "secret": secrets.secrets,
}


class FindsPhones(Protocol):
    def find(self, text: str) -> Iterator[Finding]: ...


class Detector(Struct, frozen=True):
    """Without `phones`, telephone numbers are not found."""

    phones: FindsPhones | None = None

    def find(self, text: str, kinds: Collection[PiiKind] = KINDS) -> tuple[Finding, ...]:
        """In the order of the text, none overlapping another."""
        if not text.isascii():
            text = text.encode("utf-8", "replace").decode()  # half a surrogate pair is no character: one mark for it
        found: list[Finding] = []
        for kind in kinds:
            if kind != "phone":
                found.extend(_BY_FORM[kind](text))
            elif self.phones is not None:
                found.extend(self.phones.find(text))
        return _apart(found)


def _apart(found: list[Finding]) -> tuple[Finding, ...]:
    if len(found) < 2:
        return tuple(found)
    found.sort(key=lambda f: (f.start, -f.end))
    kept = [found[0]]
    for finding in found[1:]:
        last = kept[-1]
        if finding.start >= last.end:
            kept.append(finding)
        elif (finding.confidence, finding.end - finding.start) > (last.confidence, last.end - last.start):
            kept[-1] = finding
    return tuple(kept)
