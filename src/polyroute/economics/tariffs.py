"""A three-part tariff: a platform fee, an allowance of tokens, and what every token beyond it costs. Exact.

Bands are of tokens consumed in the month, and the allowance is taken from the first ones. `graduated`: each token is
discounted as its own band says. `volume`: the band that the month's use reaches discounts all tokens beyond the
allowance. A discount of 0.15 takes 15 % off, a factor of 0.85: the article's formula multiplies by the discount
itself, which would take 85 % off. A band begins above its bound: token 10,000,000 is not above 10,000,000.
"""

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Literal

from msgspec import Struct

from polyroute.errors import InvalidRequest, Problem

Schedule = Literal["graduated", "volume"]

_CENT = Decimal("0.01")
_MILLION = Decimal(1_000_000)


class Discount(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    above_tokens: int
    discount: Decimal | None  # None: tokens so far up are priced by agreement


class Tariff(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    unit_price_usd_per_million: Decimal
    platform_fee_usd: Decimal = Decimal(0)  # a month
    allowance_tokens: int = 0  # a month, within the fee
    schedule: Schedule = "graduated"
    discounts: tuple[Discount, ...] = ()  # by rising bound


class Line(Struct, frozen=True, kw_only=True):
    """One line of an invoice; the lines add up to its total, cent by cent."""

    what: str
    amount_usd: Decimal
    tokens: int | None = None
    usd_per_million: Decimal | None = None  # after the discount
    discount: Decimal | None = None


class Invoice(Struct, frozen=True, kw_only=True):
    total_usd: Decimal
    lines: tuple[Line, ...]
    tokens: int
    schedule: Schedule
    other_schedule_usd: Decimal | None  # what the other schedule would come to; None where it has no listed price


class _Band(Struct, frozen=True, kw_only=True):
    above: int
    until: int | None
    discount: Decimal | None


def problems(tariff: Tariff) -> Iterator[Problem]:
    """What a tariff must not say; nothing is computed on a guess."""
    for name in ("unit_price_usd_per_million", "platform_fee_usd", "allowance_tokens"):
        value = Decimal(getattr(tariff, name))
        if not value.is_finite():
            yield Problem(path=name, message=f"is {value}: it must be a number")
        elif value < 0:
            yield Problem(path=name, message=f"is {value}: it cannot be negative")
    for at, band in enumerate(tariff.discounts):
        path = f"discounts[{at}]"
        if band.above_tokens < 0:
            yield Problem(path=f"{path}.above_tokens", message=f"is {band.above_tokens}: it cannot be negative")
        if band.discount is not None and not (band.discount.is_finite() and 0 <= band.discount <= 1):
            fix = (
                f"{band.discount / 100} takes {band.discount} % off"
                if band.discount.is_finite() and 1 < band.discount <= 100
                else "0.15 is 15 %"
            )
            yield Problem(path=f"{path}.discount", message=f"is {band.discount}: it must be from 0 to 1", fix=fix)
    for at, (low, high) in enumerate(pairwise(tariff.discounts), start=1):
        if high.above_tokens <= low.above_tokens:
            message = f"is {high.above_tokens}, not above {low.above_tokens}: bands must rise and not overlap"
            yield Problem(path=f"discounts[{at}].above_tokens", message=message)


def invoice(tariff: Tariff, tokens: int) -> Invoice:
    """A month's bill for so many tokens. Raises InvalidRequest where a band's price is by agreement."""
    if tokens < 0:
        raise InvalidRequest(f"a month of {tokens} tokens: it cannot be negative", field="usage_tokens")
    lines = _lines(tariff, tokens, tariff.schedule)
    other: Schedule = "volume" if tariff.schedule == "graduated" else "graduated"
    listed = all(
        band.discount is not None for band in _bands(tariff) if tokens > band.above and tokens > tariff.allowance_tokens
    )
    return Invoice(
        total_usd=sum((line.amount_usd for line in lines), Decimal(0)),
        lines=lines,
        tokens=tokens,
        schedule=tariff.schedule,
        other_schedule_usd=sum((line.amount_usd for line in _lines(tariff, tokens, other)), Decimal(0))
        if listed
        else None,
    )


def _bands(tariff: Tariff) -> Iterator[_Band]:
    """The list price's band first, where no discount begins at nothing."""
    starts: list[tuple[int, Decimal | None]] = [
        (0, Decimal(0)),
        *((band.above_tokens, band.discount) for band in tariff.discounts),
    ]
    ends = [above for above, _ in starts[1:]] + [None]
    for (above, discount), until in zip(starts, ends, strict=True):
        if until is None or until > above:
            yield _Band(above=above, until=until, discount=discount)


def _lines(tariff: Tariff, tokens: int, schedule: Schedule) -> tuple[Line, ...]:
    exact = [Line(what="platform fee", amount_usd=tariff.platform_fee_usd)]
    included = min(tokens, tariff.allowance_tokens)
    if included:
        exact.append(Line(what="within the allowance", amount_usd=Decimal(0), tokens=included))
    bands = list(_bands(tariff))
    if schedule == "volume":
        reached = [band for band in bands if tokens > band.above] or bands[:1]
        bands = [_Band(above=0, until=None, discount=reached[-1].discount)]
    for band in bands:
        first = max(band.above, tariff.allowance_tokens)
        until = tokens if band.until is None else min(tokens, band.until)
        if until > first:
            exact.append(_overage(tariff, band, until - first))
    return _to_cents(exact)


def _overage(tariff: Tariff, band: _Band, tokens: int) -> Line:
    if band.discount is None:
        raise InvalidRequest(
            f"tokens above {band.above:,} are priced by agreement: `economics quote` with a discount of your own",
            field="usage_tokens",
        )
    price = tariff.unit_price_usd_per_million * (1 - band.discount)
    return Line(
        what=f"beyond the allowance, {band.discount:.0%} off" if band.discount else "beyond the allowance",
        amount_usd=tokens * price / _MILLION,
        tokens=tokens,
        usd_per_million=price,
        discount=band.discount,
    )


def _to_cents(exact: list[Line]) -> tuple[Line, ...]:
    """The total is the exact sum, rounded once, half up; the lines of the largest remainders are rounded up."""
    total = sum((line.amount_usd for line in exact), Decimal(0)).quantize(_CENT, ROUND_HALF_UP)
    floors = [line.amount_usd // _CENT * _CENT for line in exact]
    owed = int((total - sum(floors, Decimal(0))) / _CENT)
    by_remainder = sorted(range(len(exact)), key=lambda at: (floors[at] - exact[at].amount_usd, at))
    raised = frozenset(by_remainder[:owed])
    return tuple(
        Line(
            what=line.what,
            amount_usd=(floors[at] + (_CENT if at in raised else 0)).quantize(_CENT),
            tokens=line.tokens,
            usd_per_million=line.usd_per_million,
            discount=line.discount,
        )
        for at, line in enumerate(exact)
    )


# ── an enterprise quote ───────────────────────────────────────────────────────────────────────────────


class Terms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an enterprise is asked for, a month; services are asked once and spread over the months."""

    platform_fee_usd: Decimal
    usage_tokens: int
    unit_price_usd_per_million: Decimal
    discount: Decimal = Decimal(0)  # 0..1
    sla_premium_usd: Decimal = Decimal(0)
    criticality: Decimal = Decimal(1)  # multiplies the SLA premium
    services_usd: Decimal = Decimal(0)
    cost_usd: Decimal | None = None  # what serving it costs a month, for the margin


class Quote(Struct, frozen=True, kw_only=True):
    total_usd: Decimal
    lines: tuple[Line, ...]
    effective_usd_per_million: Decimal | None  # the whole price over its tokens; None where there are none
    margin: Decimal | None  # 0..1; None where the cost is not given
    formula: str


FORMULA = "platform fee + usage x unit price x (1 - discount) + SLA premium x criticality + services"


def quote(terms: Terms) -> Quote:
    """Raises InvalidRequest naming the term that cannot be."""
    for name in ("platform_fee_usd", "usage_tokens", "unit_price_usd_per_million", "sla_premium_usd", "services_usd"):
        if getattr(terms, name) < 0:
            raise InvalidRequest(f"`{name}` is {getattr(terms, name)}: it cannot be negative", field=name)
    if not 0 <= terms.discount <= 1:
        raise InvalidRequest(f"`discount` is {terms.discount}: from 0 to 1, where 0.15 is 15 % off", field="discount")
    if terms.criticality <= 0:
        raise InvalidRequest(f"`criticality` is {terms.criticality}: it must be above 0", field="criticality")
    price = terms.unit_price_usd_per_million * (1 - terms.discount)
    lines = _to_cents(
        [
            Line(what="platform fee", amount_usd=terms.platform_fee_usd),
            Line(
                what="usage",
                amount_usd=terms.usage_tokens * price / _MILLION,
                tokens=terms.usage_tokens,
                usd_per_million=price,
                discount=terms.discount,
            ),
            Line(what="SLA premium x criticality", amount_usd=terms.sla_premium_usd * terms.criticality),
            Line(what="professional services", amount_usd=terms.services_usd),
        ]
    )
    total = sum((line.amount_usd for line in lines), Decimal(0))
    return Quote(
        total_usd=total,
        lines=lines,
        effective_usd_per_million=total * _MILLION / terms.usage_tokens if terms.usage_tokens else None,
        margin=1 - terms.cost_usd / total if terms.cost_usd is not None and total else None,
        formula=FORMULA,
    )
