from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.rig import CALLER, NOON, PRICE, CountedBooks, daily, deployment

from polyroute.catalog import pricing
from polyroute.catalog.tokens import Size
from polyroute.errors import BudgetExceeded, PriceUnknown, StoreError
from polyroute.stages.execution.meter import Meter, RequestFacts
from polyroute.stages.matching.estimates import candidate
from polyroute.state.accounts.accounts import Accounts
from polyroute.state.accounts.allowances import Allowances
from polyroute.types.cards import Deployment, Price, Rates
from polyroute.types.receipt import Spent
from polyroute.types.response import Usage
from polyroute.types.routing import Candidate, Needs

DAY = NOON.date()
IN, OUT = 1000, 500  # tokens: 1,000 micro-dollars each at PRICE


def offered(model: Deployment, needs: Needs) -> Candidate:
    return candidate(model, needs, Size(tokens=needs.input_tokens, most_tokens=needs.input_tokens), DAY, None)


class Booth:
    def __init__(self, allowances: Allowances | None = None, **facts: Any) -> None:
        self.needs: Needs = facts.pop("needs", Needs(input_tokens=IN, output_tokens=OUT))
        self.accounts = Accounts(allowances or Allowances())
        self.books = CountedBooks()
        self.meter = Meter(
            RequestFacts(
                request_id="r", client_request_id=None, caller=CALLER, route="route", policy="p",
                needs=self.needs, came_at=facts.pop("came_at", NOON), **facts,
            ),
            self.accounts, self.books, lambda: NOON,
        )  # fmt: skip

    async def begin(self, model: Deployment | None = None, number: int = 0) -> Any:
        return await self.meter.begin(offered(model or deployment("m"), self.needs), number, 0.0)

    @property
    def left_usd(self) -> Decimal | None:
        return self.accounts.remaining_usd(CALLER, None, NOON)


async def test_the_worst_case_is_held_and_written_down() -> None:
    booth = Booth(daily("5"))
    ticket = await booth.begin()
    assert booth.left_usd == 5 - Decimal("0.002")
    assert (ticket.max_output_tokens, booth.meter.clamped_to) == (None, None)
    (opening,) = booth.books.openings
    assert opening.attempt is not None
    assert (opening.reserved_usd, opening.attempt.worst_usd, opening.attempt.id) == (
        Decimal("0.002"), Decimal("0.002"), ticket.attempt_id,
    )  # fmt: skip
    booth.meter.end(ticket, Decimal("0.0005"), 0)
    assert booth.left_usd == 5 - Decimal("0.0005")
    booth.meter.end(ticket, Decimal("0.0005"), 0)
    assert booth.left_usd == 5 - Decimal("0.0005"), "settled once"


async def test_each_answer_asked_for_is_held() -> None:
    booth = Booth(daily("5"), needs=Needs(input_tokens=IN, output_tokens=OUT, choices=4))
    await booth.begin()
    assert booth.left_usd == 5 - Decimal("0.005")


@pytest.mark.parametrize(
    ("left", "choices", "tokens"),
    [
        ("0.002", 1, None),
        ("0.001999999", 1, 499),
        ("0.0011", 1, 50),
        ("0.0014", 4, 50),
        ("0.001032", 1, 16),
    ],
)
async def test_money_left_for_less_than_asked_clamps_the_answer(left: str, choices: int, tokens: int | None) -> None:
    booth = Booth(daily(left), needs=Needs(input_tokens=IN, output_tokens=OUT, choices=choices))
    ticket = await booth.begin()
    assert ticket.max_output_tokens == booth.meter.clamped_to == tokens


@pytest.mark.parametrize(("left", "least"), [("0.001031999", 16), ("0.0009", 16), ("0", 16), ("0.0018", 401)])
async def test_too_little_money_is_a_refusal(left: str, least: int) -> None:
    booth = Booth(daily(left), min_output_tokens=least)
    with pytest.raises(BudgetExceeded) as caught:
        await booth.begin()
    assert (caught.value.budget, caught.value.limit_usd) == ("per_team_daily_usd", Decimal(left))
    assert booth.left_usd == Decimal(left)
    assert booth.books.openings == []


async def test_a_short_answer_asked_for_is_not_under_the_least() -> None:
    booth = Booth(daily("5"), needs=Needs(input_tokens=IN, output_tokens=3))
    assert (await booth.begin()).max_output_tokens is None


@pytest.mark.parametrize(
    ("card", "asked", "limited", "ceiling", "told"),
    [
        pytest.param({}, None, True, False, 4096, id="under a budget, an answer nobody bounds is bounded"),
        pytest.param({}, None, False, True, 4096, id="under a ceiling too"),
        pytest.param({}, None, False, False, None, id="without money limits it is not"),
        pytest.param({}, 500, True, False, None, id="the caller's bound holds"),
        pytest.param({"max_output_tokens": 800}, None, True, False, None, id="and the card's"),
    ],
)
async def test_an_open_end(
    card: dict[str, Any], asked: int | None, limited: bool, ceiling: bool, told: int | None
) -> None:
    needs = Needs(input_tokens=IN, output_tokens=asked)
    booth = Booth(daily("5") if limited else None, needs=needs, has_ceiling=ceiling)
    ticket = await booth.begin(deployment("m", **card))
    assert ticket.max_output_tokens == told
    assert booth.meter.clamped_to is None


async def test_an_unknown_price_is_served_without_limits_and_refused_under_one() -> None:
    unknown = deployment("m", price=None)
    assert (await Booth().begin(unknown)).max_output_tokens is None
    with pytest.raises(PriceUnknown):
        await Booth(daily("5")).begin(unknown)


async def test_books_that_fail_hold_nothing() -> None:
    booth = Booth(daily("5"))
    booth.books.failing.add("open")
    with pytest.raises(StoreError):
        await booth.begin()
    assert booth.left_usd == 5


async def test_prices_are_those_of_the_day_the_request_came() -> None:
    """It came before midnight; the price rose after."""
    later = Price(rates=Rates(input=Decimal(100), output=Decimal(100)), effective_from=DAY, source="test")
    model = deployment("m", price=None)
    model = replace(model, card=replace(model.card, prices=(PRICE, later)))
    evening = datetime(2026, 2, 28, 23, 59, tzinfo=UTC)
    needs = Needs(input_tokens=IN, output_tokens=OUT)
    booth = Booth(daily("0.0015"), needs=needs, came_at=evening)
    offer = candidate(model, needs, Size(tokens=IN, most_tokens=IN), evening.date(), None)
    assert (await booth.meter.begin(offer, 0, 0.0)).max_output_tokens == 250


async def test_an_attempt_after_midnight_counts_in_the_day_the_request_came() -> None:
    """As the books count it: what they say is what was held."""
    evening = datetime(2026, 2, 28, 23, 59, tzinfo=UTC)
    booth = Booth(daily("5"), came_at=evening)
    for number in range(2):
        booth.meter.end(await booth.begin(number=number), Decimal("0.0005"), 0)
    assert booth.left_usd == 5
    assert booth.accounts.remaining_usd(CALLER, None, evening) == 5 - Decimal("0.001")
    assert booth.books.openings[0].opened_at == evening


async def test_what_an_attempt_cost_outlives_a_restoring_until_the_request_is_booked() -> None:
    booth = Booth(daily("5"))
    line = Spent(tenant=CALLER.tenant, team=CALLER.team, user=CALLER.user, key_id=None, model="m", cost_usd=Decimal(1))
    booth.accounts.restore("daily", [line], NOON)
    booth.meter.end(await booth.begin(), Decimal("0.0005"), 0)
    booth.accounts.restore("daily", [line], NOON)
    assert booth.left_usd == 4 - Decimal("0.0005")
    booth.meter.booked()
    booth.accounts.restore("daily", [replace(line, cost_usd=Decimal("1.0005"))], NOON)
    assert booth.left_usd == 4 - Decimal("0.0005")


MICROS = st.integers(0, 10_000)
RATE = st.decimals(0, 100, places=2)


@given(MICROS, st.integers(0, 3000), st.integers(1, 5000), st.integers(1, 5), RATE, RATE, st.integers(0, 2))
async def test_what_is_held_covers_every_bill_within_the_cap(
    micros: int, given_tokens: int, asked: int, choices: int, input_rate: Decimal, output_rate: Decimal, fee: int
) -> None:
    price = Price(rates=Rates(input=input_rate, output=output_rate), per_request_usd=Decimal(fee) / 1000, source="t")
    left = Decimal(micros) / 1_000_000
    booth = Booth(daily(str(left)), needs=Needs(input_tokens=given_tokens, output_tokens=asked, choices=choices))
    try:
        ticket = await booth.begin(deployment("m", price=price))
    except BudgetExceeded:
        assert pricing.cost(Usage(input_tokens=given_tokens, output_tokens=16 * choices), price) > left or asked < 16
        return
    cap = ticket.max_output_tokens or asked
    assert 1 <= cap <= asked
    assert booth.left_usd is not None
    assert booth.left_usd >= 0
    bill = pricing.cost(Usage(input_tokens=given_tokens, output_tokens=cap * choices), price)
    assert bill <= left - booth.left_usd, "the hold covers it"
    if cap < asked:
        assert pricing.worst_cost(given_tokens, (cap + 1) * choices, price) > left, "no shorter than need be"


def test_the_clock_of_the_rig_is_in_utc() -> None:
    assert datetime(2026, 3, 1, 12, tzinfo=UTC) == NOON
