"""Whether each level of a cascade pays, decided before it starts. Pure.

From the end: with `next` the expected cost of going straight on, a level costs its call and its gates, always, and
spares `next` wherever its answer passes. So it is kept where call + gates <= pass rate * next. Where nothing is known
of how often it passes, it is left out only if it could never pay; what costs an unknown amount is never left out.
"""

from decimal import Decimal

from msgspec import Struct

_CENTS = Decimal("0.000001")


class Level(Struct, frozen=True, kw_only=True):
    model: str
    usd: Decimal | None  # one answer, expected
    check_usd: Decimal  # its gates
    pass_rate: float | None  # None: not known
    is_declared: bool = False  # the rate is the document's, rather than observed


def worth_it(levels: tuple[Level, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The models that are kept, in order, and why each other is left out. The last is always kept."""
    kept, reasons = [levels[-1].model], list[str]()
    onward = levels[-1].usd
    for level in reversed(levels[:-1]):
        if level.usd is None or onward is None:
            kept.insert(0, level.model)
            onward = None
            continue
        own, rate = level.usd + level.check_usd, Decimal(str(1.0 if level.pass_rate is None else level.pass_rate))
        if own > rate * onward:
            reasons.insert(0, _why(level, own, rate, onward))
            continue
        kept.insert(0, level.model)
        onward = own + (1 - rate) * onward
    return tuple(kept), tuple(reasons)


def _why(level: Level, own: Decimal, rate: Decimal, onward: Decimal) -> str:
    known = "declared" if level.is_declared else "observed"
    passes = "even if every answer passed" if level.pass_rate is None else f"{rate:.0%} of its answers pass ({known})"
    spent = f"${own.quantize(_CENTS):f} a call" + (" with its gates" if level.check_usd else "")
    return f"{level.model} is left out: {spent}, more than the ${(rate * onward).quantize(_CENTS):f} it saves: {passes}"
