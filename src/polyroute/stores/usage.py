"""What was used, by whom and of what, per UTC day: lines of the books added up as somebody wants to see them. Pure."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from polyroute.types.money import ZERO_USD

NAMES = ("tenant", "team", "user", "key", "model", "provider", "day")  # what may be told apart

_DAY_S = 86_400


class Usage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """None: not told apart."""

    tenant: str | None = None
    team: str | None = None
    user: str | None = None
    key: str | None = None
    model: str | None = None
    provider: str | None = None
    day: date | None = None
    calls: int  # to models; a request may need several
    failed: int
    unpriced: int  # calls whose price is not known; their cost is not in `cost_usd`
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal


NOTHING = Usage(calls=0, failed=0, unpriced=0, input_tokens=0, output_tokens=0, cost_usd=ZERO_USD)


def day_of(number: int) -> date:
    """From the count of days since 1970."""
    return datetime.fromtimestamp(number * _DAY_S, UTC).date()


def add_up(lines: Iterable[Usage], by: Iterable[str]) -> list[Usage]:
    """One line for each combination of what `by` names, in that order."""
    names = tuple(by)
    sums: dict[tuple[object, ...], Usage] = {}
    for line in lines:
        place = tuple(getattr(line, name) for name in names)
        sums[place] = _plus(sums.get(place, NOTHING), line)
    keyed = sorted(sums.items(), key=lambda item: tuple((part is not None, str(part)) for part in item[0]))
    return [replace(total, **dict(zip(names, place, strict=True))) for place, total in keyed]


def _plus(one: Usage, other: Usage) -> Usage:
    return Usage(
        calls=one.calls + other.calls,
        failed=one.failed + other.failed,
        unpriced=one.unpriced + other.unpriced,
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cost_usd=one.cost_usd + other.cost_usd,
    )
