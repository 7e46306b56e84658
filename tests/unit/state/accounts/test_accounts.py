from datetime import UTC, datetime
from decimal import Decimal

import pytest

from polyroute.errors import BudgetExceeded, PriceUnknown, RateLimited
from polyroute.state.accounts.accounts import Accounts
from polyroute.state.accounts.allowances import Allowance, Allowances, Budget, Rates
from polyroute.types.access import Caller
from polyroute.types.receipt import Spent

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
ANN = Caller(user="ann", team="platform", key_id="ci")
BEN = Caller(user="ben", team="platform")


def test_nothing_is_refused_where_nothing_is_limited() -> None:
    accounts = Accounts(Allowances())
    for _ in range(1000):
        accounts.admit(ANN, 10**9, 0.0)
    accounts.hold(ANN, "m", None, NOW).release()
    assert accounts.remaining_usd(ANN, "m", NOW) is None


def test_the_request_over_the_limit_is_refused_and_retrying_as_told_succeeds() -> None:
    accounts = Accounts(Allowances(per_user=Rates(requests_per_minute=20)))
    for second in range(20):
        accounts.admit(ANN, 0, float(second))
    with pytest.raises(RateLimited) as refusal:
        accounts.admit(ANN, 0, 20.0)
    assert refusal.value.limit == "per_user_per_minute"
    assert refusal.value.retry_after_s == 40.0
    assert "user `ann`" in refusal.value.message
    accounts.admit(BEN, 0, 20.0)
    accounts.admit(ANN, 0, 20.0 + refusal.value.retry_after_s)


def test_a_refusal_counts_nowhere() -> None:
    accounts = Accounts(
        Allowances(per_user=Rates(requests_per_minute=1), per_team=Rates(requests_per_minute=2, tokens_per_minute=100))
    )
    accounts.admit(ANN, 10, 0.0)
    for _ in range(5):
        with pytest.raises(RateLimited):
            accounts.admit(ANN, 10, 1.0)
    accounts.admit(BEN, 10, 2.0)
    standings = accounts.standings(BEN, 2.0)
    assert standings.tokens is not None
    assert standings.tokens.remaining == 80


def test_the_limit_in_the_way_longest_is_named() -> None:
    accounts = Accounts(Allowances(per_user=Rates(requests_per_minute=1), per_team=Rates(requests_per_minute=2)))
    accounts.admit(BEN, 0, 0.0)
    accounts.admit(ANN, 0, 30.0)
    with pytest.raises(RateLimited) as refusal:
        accounts.admit(ANN, 0, 31.0)
    assert refusal.value.limit == "per_user_per_minute"
    assert refusal.value.retry_after_s == 59.0


def test_tokens_are_estimated_then_corrected() -> None:
    accounts = Accounts(Allowances(per_user=Rates(tokens_per_minute=1000)))
    admission = accounts.admit(ANN, 900, 0.0)
    with pytest.raises(RateLimited):
        accounts.admit(ANN, 200, 1.0)
    accounts.correct(admission, 100)
    accounts.admit(ANN, 900, 1.0)


def test_a_request_larger_than_any_minute_allows_says_so() -> None:
    accounts = Accounts(Allowances(per_user=Rates(tokens_per_minute=1000)))
    with pytest.raises(RateLimited, match="shorten it"):
        accounts.admit(ANN, 1001, 0.0)


def test_a_limit_of_nothing_admits_nothing_and_gives_a_finite_wait() -> None:
    accounts = Accounts(Allowances(per_user=Rates(requests_per_minute=0)))
    with pytest.raises(RateLimited) as refusal:
        accounts.admit(ANN, 0, 0.0)
    assert refusal.value.retry_after_s == 60.0


def test_tenants_with_the_same_names_do_not_share() -> None:
    accounts = Accounts(Allowances(per_user=Rates(requests_per_minute=1)))
    accounts.admit(Caller(user="ann", tenant="a"), 0, 0.0)
    accounts.admit(Caller(user="ann", tenant="b"), 0, 0.0)


@pytest.mark.parametrize(
    ("allowances", "name"),
    [
        (Allowances(user_budget=Budget(daily_usd=Decimal(1))), "per_user_daily_usd"),
        (Allowances(team_budget=Budget(monthly_usd=Decimal(1))), "per_team_monthly_usd"),
        (Allowances(keys={"ci": Allowance(budget=Budget(total_usd=Decimal(1)))}), "keys.ci.budget.total_usd"),
        (Allowances(models={"gpt": Allowance(budget=Budget(weekly_usd=Decimal(1)))}), "models.gpt.budget.weekly_usd"),
    ],
)
def test_every_kind_of_budget_refuses_by_its_name(allowances: Allowances, name: str) -> None:
    accounts = Accounts(allowances)
    accounts.hold(ANN, "gpt", Decimal("0.75"), NOW).settle(Decimal("0.25"))
    with pytest.raises(BudgetExceeded) as refusal:
        accounts.hold(ANN, "gpt", Decimal("0.7500001"), NOW)
    assert refusal.value.budget == name
    assert (refusal.value.spent_usd, refusal.value.limit_usd) == (Decimal("0.25"), Decimal(1))
    assert name in refusal.value.message
    assert accounts.remaining_usd(ANN, "gpt", NOW) == Decimal("0.75")


def test_the_smallest_remaining_budget_counts() -> None:
    accounts = Accounts(
        Allowances(
            user_budget=Budget(daily_usd=Decimal(5)),
            team_budget=Budget(daily_usd=Decimal(50)),
            models={"gpt": Allowance(budget=Budget(daily_usd=Decimal(2)))},
        )
    )
    assert accounts.remaining_usd(ANN, "gpt", NOW) == 2
    assert accounts.remaining_usd(ANN, "other", NOW) == 5
    assert accounts.remaining_usd(ANN, None, NOW) == 5


def test_an_unknown_price_is_refused_only_where_money_is_limited() -> None:
    accounts = Accounts(Allowances(models={"gpt": Allowance(budget=Budget(daily_usd=Decimal(2)))}))
    accounts.hold(ANN, "other", None, NOW).release()
    with pytest.raises(PriceUnknown, match=r"models\.gpt\.price"):
        accounts.hold(ANN, "gpt", None, NOW)


def test_what_the_ledger_knows_is_restored_per_budget() -> None:
    accounts = Accounts(
        Allowances(
            user_budget=Budget(daily_usd=Decimal(5)),
            team_budget=Budget(daily_usd=Decimal(50)),
            models={"gpt": Allowance(budget=Budget(monthly_usd=Decimal(40)))},
        )
    )
    lines = [
        Spent(tenant="default", team="platform", user=user, key_id=None, model=model, cost_usd=Decimal(cost))
        for user, model, cost in [("ann", "gpt", 1), ("ann", "other", 2), ("ben", "gpt", 4)]
    ]
    windows = accounts.windows(NOW)
    assert windows == {"daily": datetime(2026, 3, 4, tzinfo=UTC), "monthly": datetime(2026, 3, 1, tzinfo=UTC)}
    for _ in range(2):
        for period in windows:
            accounts.restore(period, lines, NOW)
    assert accounts.remaining_usd(ANN, None, NOW) == 2
    assert accounts.remaining_usd(BEN, None, NOW) == 1
    assert accounts.remaining_usd(Caller(user="new", team="x"), "gpt", NOW) == 5
    accounts.hold(Caller(user="new", team="platform"), "gpt", Decimal(5), NOW)
    assert accounts.remaining_usd(Caller(user="other", team="x"), "gpt", NOW) == 5


def test_what_is_settled_while_the_books_are_read_for_the_first_time_counts() -> None:
    accounts = Accounts(Allowances(team_budget=Budget(daily_usd=Decimal(5))))
    before = accounts.settled_nanos(NOW)
    hold = accounts.hold(ANN, "gpt", Decimal(1), NOW)
    hold.settle(Decimal(1))
    hold.booked()
    read = Spent(tenant="default", team="platform", user="ben", key_id=None, model="gpt", cost_usd=Decimal(2))
    accounts.restore("daily", [read], NOW, before)
    assert accounts.remaining_usd(ANN, "gpt", NOW) == 2
