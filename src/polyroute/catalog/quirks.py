"""Which quirks a provider or a model has: rows by company, by piece of an address, by beginning of a name. Pure."""

from collections.abc import Iterable
from datetime import date

from msgspec import Struct

UNKNOWN = "unknown"  # in place of a family: an address that is nobody's we know


class QuirkRow(Struct, frozen=True, kw_only=True):
    """Every row that fits counts. A row without models holds for all of them."""

    families: frozenset[str] = frozenset()
    addresses: tuple[str, ...] = ()  # pieces of a base address
    dialects: frozenset[str] = frozenset()  # one of these, of the families or of the addresses must fit
    models: tuple[str, ...] = ()  # beginnings of the model's own name, in lower case
    unless: tuple[str, ...] = ()
    lacking: str | None = None  # a capability; whose card has it the row is not for
    quirks: frozenset[str]
    source: str
    as_of: date

    def fits(self, asked: "Asked") -> bool:
        placed = (
            (asked.family or UNKNOWN) in self.families
            or asked.dialect in self.dialects
            or any(piece in (asked.base_url or "") for piece in self.addresses)
        )
        if not placed or asked.model.startswith(self.unless or ("\0",)):
            return False
        if self.lacking is not None:
            if asked.capabilities is None and not self.models:
                return False  # not known is not lacking, unless the row names whom it means
            if asked.capabilities is not None and self.lacking in asked.capabilities:
                return False
        return not self.models or asked.model.startswith(self.models)


class Asked(Struct, frozen=True, kw_only=True):
    """A model somewhere. `model` is its name without its sellers, in lower case."""

    family: str | None
    model: str
    base_url: str | None = None
    dialect: str | None = None
    capabilities: frozenset[str] | None = None


def quirks_in(rows: Iterable[QuirkRow], asked: Asked) -> frozenset[str]:
    return frozenset(quirk for row in rows if row.fits(asked) for quirk in row.quirks)
