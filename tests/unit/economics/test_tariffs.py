from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.economics.tariffs import Discount, Schedule, Tariff, Terms, invoice, problems, quote
from polyroute.errors import InvalidRequest

ARTICLE = (
    Discount(above_tokens=10_000_000, discount=Decimal("0.15")),
    Discount(above_tokens=50_000_000, discount=Decimal("0.25")),
    Discount(above_tokens=200_000_000, discount=None),
)


def tariff(
    *,
    fee: str = "500",
    allowance: int = 0,
    price: str = "10",
    schedule: Schedule = "graduated",
    discounts: tuple[Discount, ...] = ARTICLE,
) -> Tariff:
    return Tariff(
        platform_fee_usd=Decimal(fee),
        allowance_tokens=allowance,
        unit_price_usd_per_million=Decimal(price),
        schedule=schedule,
        discounts=discounts,
    )


@pytest.mark.parametrize(
    ("schedule", "allowance", "tokens", "total"),
    [
        pytest.param("graduated", 0, 0, "500.00", id="no use costs the fee"),
        pytest.param("graduated", 0, 10_000_000, "600.00", id="ten million are at the list price"),
        pytest.param("volume", 0, 10_000_000, "600.00", id="so they are by volume"),
        pytest.param("graduated", 0, 11_000_000, "608.50", id="the eleventh is 15 % off"),
        pytest.param("volume", 0, 11_000_000, "593.50", id="by volume all eleven are"),
        pytest.param("graduated", 0, 50_000_000, "940.00", id="up to fifty"),
        pytest.param("volume", 0, 50_000_000, "925.00", id="fifty are not above fifty"),
        pytest.param("volume", 0, 50_000_001, "875.00", id="one more is"),
        pytest.param("graduated", 0, 60_000_000, "1015.00", id="three bands"),
        pytest.param("graduated", 5_000_000, 4_000_000, "500.00", id="within the allowance"),
        pytest.param("graduated", 5_000_000, 10_000_000, "550.00", id="the allowance is of the first ones"),
        pytest.param("graduated", 20_000_000, 30_000_000, "585.00", id="an allowance beyond the first band"),
        pytest.param("volume", 5_000_000, 11_000_000, "551.00", id="by volume what is consumed decides the band"),
    ],
)
def test_a_months_bill(schedule: Schedule, allowance: int, tokens: int, total: str) -> None:
    bill = invoice(tariff(schedule=schedule, allowance=allowance), tokens)
    assert bill.total_usd == Decimal(total)


def test_both_schedules_are_told() -> None:
    assert invoice(tariff(), 11_000_000).other_schedule_usd == Decimal("593.50")
    assert invoice(tariff(schedule="volume"), 11_000_000).other_schedule_usd == Decimal("608.50")


def test_above_the_listed_bands_nothing_is_guessed() -> None:
    with pytest.raises(InvalidRequest, match="above 200,000,000 are priced by agreement"):
        invoice(tariff(), 200_000_001)
    assert invoice(tariff(), 200_000_000).total_usd == Decimal("2065.00")


amounts = st.decimals(min_value=0, max_value=10_000, places=4)
bands = st.lists(
    st.tuples(st.integers(0, 10**9), st.decimals(min_value=0, max_value=1, places=3)),
    max_size=5,
    unique_by=lambda b: b[0],
).map(lambda told: tuple(Discount(above_tokens=above, discount=off) for above, off in sorted(told)))


@given(fee=amounts, price=amounts, allowance=st.integers(0, 10**9), discounts=bands, tokens=st.integers(0, 2 * 10**9))
def test_lines_add_up_to_a_total_that_is_the_exact_sum_rounded_once(
    fee: Decimal, price: Decimal, allowance: int, discounts: tuple[Discount, ...], tokens: int
) -> None:
    for schedule in ("graduated", "volume"):
        made = tariff(fee=str(fee), price=str(price), allowance=allowance, schedule=schedule, discounts=discounts)
        assert list(problems(made)) == []
        bill = invoice(made, tokens)
        assert bill.total_usd == sum(line.amount_usd for line in bill.lines)
        assert all(line.amount_usd == line.amount_usd.quantize(Decimal("0.01")) for line in bill.lines)
        beyond = sum(line.tokens or 0 for line in bill.lines if line.usd_per_million is not None)
        assert beyond == max(0, tokens - allowance)


@given(tokens=st.integers(0, 2 * 10**8 - 1))
def test_graduated_never_costs_less_for_more(tokens: int) -> None:
    assert invoice(tariff(), tokens).total_usd <= invoice(tariff(), tokens + 1).total_usd


@pytest.mark.parametrize(
    ("made", "path", "said"),
    [
        pytest.param(tariff(price="-1"), "unit_price_usd_per_million", "negative", id="a negative price"),
        pytest.param(tariff(price="sNaN"), "unit_price_usd_per_million", "must be a number", id="a price that is none"),
        pytest.param(tariff(fee="Infinity"), "platform_fee_usd", "must be a number", id="a fee without end"),
        pytest.param(
            tariff(discounts=(Discount(above_tokens=1, discount=Decimal("NaN")),)),
            "discounts[0].discount", "from 0 to 1", id="a discount that is no number",
        ),
        pytest.param(tariff(allowance=-1), "allowance_tokens", "negative", id="a negative allowance"),
        pytest.param(
            tariff(discounts=(Discount(above_tokens=1, discount=Decimal(15)),)),
            "discounts[0].discount", "0.15 takes 15 % off", id="a discount in percent",
        ),
        pytest.param(
            tariff(discounts=(ARTICLE[1], ARTICLE[0])), "discounts[1].above_tokens", "not overlap", id="bands that fall"
        ),
        pytest.param(
            tariff(discounts=(ARTICLE[0], ARTICLE[0])), "discounts[1].above_tokens", "not overlap", id="a band twice"
        ),
    ],
)  # fmt: skip
def test_what_a_tariff_must_not_say(made: Tariff, path: str, said: str) -> None:
    assert [(p.path, said in str(p)) for p in problems(made)] == [(path, True)]


def test_a_quote_takes_the_discount_off_and_does_not_multiply_by_it() -> None:
    told = quote(
        Terms(
            platform_fee_usd=Decimal(2000),
            usage_tokens=100_000_000,
            unit_price_usd_per_million=Decimal(10),
            discount=Decimal("0.25"),
            sla_premium_usd=Decimal(1000),
            criticality=Decimal("1.5"),
            services_usd=Decimal(5000),
            cost_usd=Decimal(1850),
        )
    )
    assert told.total_usd == Decimal("9250.00")
    assert told.effective_usd_per_million == Decimal("92.5")
    assert told.margin == Decimal("0.8")


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"discount": Decimal("1.5")}, "discount"),
        ({"usage_tokens": -1}, "usage_tokens"),
        ({"criticality": Decimal(0)}, "criticality"),
    ],
)
def test_a_quote_names_the_term_that_cannot_be(changed: dict[str, Decimal | int], field: str) -> None:
    plain: dict[str, Decimal | int] = {
        "platform_fee_usd": Decimal(1), "usage_tokens": 1, "unit_price_usd_per_million": Decimal(1),
    }  # fmt: skip
    with pytest.raises(InvalidRequest) as caught:
        quote(Terms(**{**plain, **changed}))  # type: ignore[arg-type]  # wrong on purpose
    assert caught.value.field == field
