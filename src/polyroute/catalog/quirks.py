"""Which quirks a provider or a model has: rows by company, by piece of an address, by beginning of a name. Pure."""

from collections.abc import Iterable
from datetime import date

from msgspec import Struct

UNKNOWN = "unknown"  # in place of a family: an address that is nobody's we know


class QuirkRow(Struct, frozen=True, kw_only=True):
    """Every row that fits counts. A row without models holds for all of them."""

    families: frozenset[str] = frozenset()
    addresses: tuple[str, ...] = ()  # pieces of a base address; one of these or of the families must fit
    models: tuple[str, ...] = ()  # beginnings of the model's own name, in lower case
    unless: tuple[str, ...] = ()
    quirks: frozenset[str]
    source: str
    as_of: date

    def fits(self, family: str | None, base_url: str | None, model: str) -> bool:
        """`model` is the name without its sellers, in lower case."""
        if (family or UNKNOWN) not in self.families and not any(piece in (base_url or "") for piece in self.addresses):
            return False
        return (not self.models or model.startswith(self.models)) and not model.startswith(self.unless or ("\0",))


def quirks_in(rows: Iterable[QuirkRow], family: str | None, base_url: str | None, model: str) -> frozenset[str]:
    return frozenset(quirk for row in rows if row.fits(family, base_url, model) for quirk in row.quirks)
