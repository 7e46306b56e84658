"""The books beside what a provider says it was used for: per model and day, and where they drift apart. Pure.

A model's snapshots (`gpt-4o-2024-08-06`) count with the model itself: exports name one or the other.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal

from msgspec import Struct

from polyroute.types.money import ZERO_USD

_DATE_LENGTHS = (8, 10)  # 20250929, 2024-08-06


class Spell(Struct, frozen=True, kw_only=True):
    """One model's use on one day (UTC). None: not said."""

    day: date
    model: str
    requests: int | None = None
    input_tokens: int | None = None  # of every class
    output_tokens: int | None = None
    cost_usd: Decimal | None = None


class Billed(Struct, frozen=True, kw_only=True):
    """One call as the books have it. Tokens are of disjoint classes; None: no usage known."""

    day: date
    tenant: str
    team: str
    provider: str
    model: str  # the document's name
    upstream_model: str
    answered_model: str | None
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    output_tokens: int
    reasoning_tokens: int
    input_audio_tokens: int
    output_audio_tokens: int
    has_usage: bool
    cost_usd: Decimal | None  # None: price unknown


class Tolerance(Struct, frozen=True, kw_only=True):
    """Less than either is no drift."""

    share: Decimal = Decimal("0.01")
    usd: Decimal = Decimal("0.01")
    tokens: int = 100
    requests: int = 0


class Line(Struct, frozen=True, kw_only=True):
    """One model on one day, on both sides; what the export does not say is not compared."""

    day: date
    model: str
    ours: Spell
    theirs: Spell
    drifts: tuple[str, ...] = ()  # "cost_usd", "input_tokens", …

    @property
    def drift_usd(self) -> Decimal | None:
        """Signed: what the provider says beyond the books."""
        theirs, ours = self.theirs.cost_usd, self.ours.cost_usd
        return None if theirs is None or ours is None else theirs - ours


def base_name(model: str) -> str:
    """Without provider and date: `models/`, `openai/`, `-2024-08-06`, `-20250929`, `@20250929`."""
    name = model.rpartition("/")[2].strip().lower()
    for length in _DATE_LENGTHS:
        head, tail = name[: -length - 1], name[-length:]
        if head and name[-length - 1] in "-@" and tail.replace("-", "").isdecimal() and len(tail.replace("-", "")) == 8:
            return head
    return name


def ours(calls: Iterable[Billed]) -> list[Spell]:
    return merged(
        Spell(
            day=call.day,
            model=call.answered_model or call.upstream_model,
            requests=int(call.has_usage),
            input_tokens=call.input_tokens
            + call.cached_input_tokens
            + call.cache_write_tokens
            + call.cache_write_1h_tokens
            + call.input_audio_tokens,
            output_tokens=call.output_tokens + call.reasoning_tokens + call.output_audio_tokens,
            cost_usd=call.cost_usd or ZERO_USD,
        )
        for call in calls
    )


def merged(spells: Iterable[Spell]) -> list[Spell]:
    """One for each model and day, by day and name."""
    found: dict[tuple[date, str], Spell] = {}
    for spell in spells:
        place = (spell.day, base_name(spell.model))
        known = found.get(place)
        if known is None:
            known = Spell(day=spell.day, model=place[1])
        found[place] = Spell(
            day=spell.day,
            model=place[1],
            requests=_sum(known.requests, spell.requests),
            input_tokens=_sum(known.input_tokens, spell.input_tokens),
            output_tokens=_sum(known.output_tokens, spell.output_tokens),
            cost_usd=spell.cost_usd if known.cost_usd is None else known.cost_usd + (spell.cost_usd or ZERO_USD),
        )
    return [found[place] for place in sorted(found)]


def compare(books: Iterable[Spell], export: Iterable[Spell], tolerance: Tolerance) -> list[Line]:
    """Every model and day of the days that the export covers."""
    theirs = {(spell.day, spell.model): spell for spell in merged(export)}
    if not theirs:
        return []
    first, last = min(day for day, _ in theirs), max(day for day, _ in theirs)
    mine = {(spell.day, spell.model): spell for spell in merged(books) if first <= spell.day <= last}
    says = {name for spell in theirs.values() for name in _FIGURES if getattr(spell, name) is not None}
    return [_line(place, mine, theirs, says, tolerance) for place in sorted(mine.keys() | theirs.keys())]


_FIGURES = ("requests", "input_tokens", "output_tokens", "cost_usd")


def _line(
    place: tuple[date, str],
    mine: Mapping[tuple[date, str], Spell],
    theirs: Mapping[tuple[date, str], Spell],
    says: set[str],
    tolerance: Tolerance,
) -> Line:
    nothing = Spell(day=place[0], model=place[1])
    one, other = mine.get(place, nothing), theirs.get(place, nothing)
    least = {
        "requests": Decimal(tolerance.requests),
        "input_tokens": Decimal(tolerance.tokens),
        "output_tokens": Decimal(tolerance.tokens),
        "cost_usd": tolerance.usd,
    }
    drifts = []
    for name in _FIGURES:
        if name not in says or (place in theirs and getattr(other, name) is None):
            continue
        here, there = Decimal(getattr(one, name) or 0), Decimal(getattr(other, name) or 0)
        if abs(here - there) > max(least[name], tolerance.share * max(here, there)):
            drifts.append(name)
    return Line(day=place[0], model=place[1], ours=one, theirs=other, drifts=tuple(drifts))


def _sum(known: int | None, more: int | None) -> int | None:
    return more if known is None else known + (more or 0)
