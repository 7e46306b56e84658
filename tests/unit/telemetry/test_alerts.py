"""When somebody is told, and when no more. The clock is the test's."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from polyroute.config.alerts import Watched, read_condition
from polyroute.telemetry.alerts import ALL_ROUTES, Alerts, Notice
from polyroute.telemetry.tiers import Breach
from polyroute.types.access import Caller
from polyroute.types.receipt import Attempt, AttemptStatus, Receipt


def an_attempt(
    deployment: str, status: AttemptStatus = "succeeded", error: str | None = None, http: int | None = None
) -> Attempt:
    return Attempt(
        id=f"r.{deployment}",
        step=0,
        deployment=deployment,
        provider="p",
        model="m",
        upstream_model="m",
        status=status,
        error=error,
        http_status=http,
    )


ANSWERED = (an_attempt("first"),)
BROKEN = (an_attempt("first", "failed", "Overloaded", 500), an_attempt("second"))
LIMITED = (an_attempt("first", "failed", "Overloaded", 429), an_attempt("second"))
LATE = (an_attempt("first", "failed", "ProviderTimeout"), an_attempt("second"))
POOR = (an_attempt("first", "rejected"), an_attempt("second"))
PASSED_OVER = (an_attempt("second"),)


def receipt(
    attempts: Sequence[Attempt] = ANSWERED,
    *,
    error: str | None = None,
    route: str = "support",
    took_ms: float = 100.0,
    usd: str = "0.01",
    passed_over: str | None = None,
) -> Receipt:
    return Receipt(
        request_id="r",
        time=datetime(2026, 1, 1, tzinfo=UTC),
        caller=Caller(),
        door="openai_chat",
        route=route,
        requested_model=route,
        policy="p",
        state="failed" if error else "settled",
        plan=("second", "first") if passed_over else ("first", "second"),
        passed_over=passed_over,
        attempts=tuple(attempts),
        total_ms=took_ms,
        cost_usd=Decimal(usd),
        error=error,
        error_message=error and f"told: {error}",
    )


def alerts(*conditions: str, routes: tuple[str, ...] = (), window_s: float = 300.0, at_least: int = 10) -> Alerts:
    read = [found for written in conditions if isinstance(found := read_condition(written), Watched)]
    assert len(read) == len(conditions)
    return Alerts(read, routes=routes, window_s=window_s, at_least=at_least)


def after(watch: Alerts, *receipts: Receipt, now_s: float = 0.0) -> list[Notice]:
    told = [notice for one in receipts for notice in watch.note(one, now_s)]
    return [*told, *watch.look(now_s)]


FAILED = receipt(BROKEN[:1], error="PlanExhausted")


@pytest.mark.parametrize(
    ("condition", "error"),
    [
        ("plan_exhausted", "PlanExhausted"),
        ("plan_exhausted", "DeadlineExceeded"),
        ("no_candidate", "NoCandidate"),
        ("budget_exceeded", "BudgetExceeded"),
    ],
)
def test_an_event_is_told_once_however_often_it_happens(condition: str, error: str) -> None:
    (told,) = after(alerts(condition), *[receipt((), error=error)] * 50)
    assert (told.event, told.condition, told.subject) == ("raised", condition, "support")
    assert told.details["request_id"] == "r"


def test_an_event_is_over_when_it_has_not_happened_for_a_window() -> None:
    watch = alerts("plan_exhausted", window_s=60.0)
    after(watch, *[FAILED] * 3)
    assert after(watch, now_s=60.0) == []
    (over,) = after(watch, now_s=61.0)
    assert (over.event, over.subject, over.count) == ("recovered", "support", 3)
    assert len(after(watch, FAILED, now_s=62.0)) == 1, "and told again the next time"


def test_each_route_is_told_by_itself() -> None:
    other = receipt((), error="PlanExhausted", route="other")
    assert [told.subject for told in after(alerts("plan_exhausted"), FAILED, other, FAILED)] == ["support", "other"]


def test_routes_that_are_not_named_are_not_watched() -> None:
    watch = alerts("plan_exhausted", "error_share > 0.1", routes=("other",))
    assert after(watch, *[FAILED] * 20) == []


@pytest.mark.parametrize(
    ("condition", "receipts", "figure"),
    [
        ("fallback_share > 0.4", [receipt(BROKEN)] * 5 + [receipt()] * 5, 0.5),
        ("error_share > 0.1", [FAILED] * 2 + [receipt()] * 8, 0.2),
        ("rejected_share > 0.1", [receipt(POOR)] * 5 + [receipt()] * 5, 1 / 3),
        ("p95_ms > 2000", [receipt(took_ms=3000)] * 2 + [receipt()] * 18, 3000.0),
        ("p50_ms >= 100", [receipt()] * 10, 100.0),
        ("cost_per_request_usd > 0.005", [receipt()] * 10, 0.01),
    ],
)
def test_a_figure_over_its_limit_is_told(condition: str, receipts: list[Receipt], figure: float) -> None:
    (told,) = after(alerts(condition), *receipts)
    assert (told.event, told.subject) == ("raised", "support")
    assert told.figure == pytest.approx(figure)


@pytest.mark.parametrize(
    ("condition", "receipts"),
    [
        ("fallback_share > 0.4", [receipt(BROKEN)] * 4 + [receipt()] * 6),
        ("error_share > 0.1", [FAILED] * 1 + [receipt()] * 9),
        ("p95_ms > 2000", [receipt(took_ms=3000)] * 1 + [receipt()] * 19),
        ("fallback_share > 0.4", [receipt(BROKEN)] * 9),  # too few to say anything
    ],
)
def test_a_figure_within_its_limit_is_not(condition: str, receipts: list[Receipt]) -> None:
    assert after(alerts(condition), *receipts) == []


def test_what_all_routes_spend_is_one_figure() -> None:
    watch = alerts("cost_per_hour_usd > 5", window_s=360.0)
    spent = [receipt(route=name, usd="0.3") for name in ("a", "b")]
    (told,) = after(watch, *spent)
    assert told.subject == ALL_ROUTES
    assert told.figure == pytest.approx(6.0)


def test_a_figure_is_over_when_it_was_within_its_limit_for_a_minute() -> None:
    watch = alerts("error_share > 0.1", window_s=100.0)
    assert len(after(watch, *[FAILED] * 10)) == 1
    assert after(watch, *[receipt()] * 10, now_s=99.0) == []
    assert after(watch, now_s=150.0) == [], "what it was about is gone, for less than a minute"
    (over,) = after(watch, now_s=160.0)
    assert (over.event, over.condition) == ("recovered", "error_share > 0.1")


def test_the_split_of_fallbacks_is_told() -> None:
    (told,) = after(alerts("fallback_share > 0.4"), *[receipt(a) for a in (BROKEN, BROKEN, LATE, POOR) * 3])
    assert told.details["causes"] == {"error": 6, "timeout": 3, "rejected": 3}
    assert "50% error" in told.message
    assert "too low" not in told.message


@pytest.mark.parametrize(("attempts", "whose"), [(LIMITED, "the provider's"), (PASSED_OVER, "this document's")])
def test_limits_that_are_too_low_are_told_with_a_value(attempts: tuple[Attempt, ...], whose: str) -> None:
    watch = alerts("fallback_share > 0.4")
    for second in range(90):  # one a second; from the 30th on over the limit
        list(watch.note(receipt(ANSWERED if second < 30 else attempts), float(second)))
    (told,) = watch.look(90.0)
    assert told.details["propose"] == 75, "60 in the busiest minute, and a quarter"
    assert f"`first` are too low, not its health: {whose} requests per minute should be 75" in told.message


def test_a_breaker_that_opens_is_told_and_that_it_closed() -> None:
    watch = alerts("breaker_opened")
    (opened,) = watch.turned("gpt@eu", "open", 0.0)
    assert opened.subject == "gpt@eu"
    assert list(watch.turned("gpt@eu", "trying", 1.0)) == []
    assert list(watch.turned("gpt@eu", "open", 2.0)) == []
    assert list(watch.look(10_000.0)) == [], "it stays open however long"
    assert [told.event for told in watch.turned("gpt@eu", "closed", 3.0)] == ["recovered"]


def test_a_budget_is_told_of_at_each_share_and_when_its_window_begins_anew() -> None:
    watch = alerts("budget > 0.8", "budget > 1")
    shares = [0.5, 0.8, 0.9, 1.0, 1.0, 0.1]
    told = [(one.event, one.condition) for share in shares for one in watch.spent("teams.blue", share, 0.0)]
    assert told == [
        ("raised", "budget > 0.8"),
        ("raised", "budget > 1"),
        ("recovered", "budget > 0.8"),
        ("recovered", "budget > 1"),
    ]


def test_a_tier_that_misses_its_target_is_told() -> None:
    breach = Breach(route="support", tier="simple", kind="latency")
    (told,) = alerts("tier_missed").missed(breach, 0.6, 0.0)
    assert (told.subject, told.details["share"]) == ("support/simple/latency", 0.6)
    assert list(alerts("tier_missed", routes=("other",)).missed(breach, 0.6, 0.0)) == []


@pytest.mark.parametrize(
    ("standing", "cause"),
    [("failing", "error"), ("resting", "provider_limit"), ("short of quota", "provider_limit")],
)
def test_a_primary_that_is_passed_over_counts_as_not_having_answered(standing: str, cause: str) -> None:
    over = receipt(PASSED_OVER, passed_over=f"first: {standing}")
    (told,) = after(alerts("fallback_share > 0.4"), *[over] * 10)
    assert (told.figure, told.details["causes"]) == (1.0, {cause: 10})


def test_a_full_gateway_is_told_once_and_when_it_is_over() -> None:
    watch = alerts("overloaded", window_s=60.0)
    (told,) = watch.sent_away(120, 0.0)
    assert (told.event, told.subject, told.details) == ("raised", "all routes", {"refused": 120})
    assert list(watch.sent_away(80, 1.0)) == []
    assert list(watch.look(60.0)) == []
    assert [over.event for over in watch.look(62.0)] == ["recovered"]
