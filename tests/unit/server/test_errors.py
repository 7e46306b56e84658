from decimal import Decimal

import pytest

from polyroute import errors
from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.server.errors import TABLE, map_error
from polyroute.types.receipt import Attempt


def _leaves(kind: type[errors.PolyrouteError]) -> set[type[errors.PolyrouteError]]:
    below = kind.__subclasses__()
    return {kind}.union(*(_leaves(sub) for sub in below)) if below else {kind}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InvalidRequest("x", field="n"), 400),
        (errors.UnknownModel("x"), 404),
        (errors.WrongMethod("x", allowed=("POST",)), 405),
        (errors.TooLarge("x"), 413),
        (errors.Unsupported("x"), 501),
        (errors.Unauthenticated("x"), 401),
        (errors.Forbidden("x"), 403),
        (errors.RateLimited("x", limit="l", retry_after_s=1.2), 429),
        (errors.BudgetExceeded("x", budget="b", spent_usd=Decimal(1), limit_usd=Decimal(1)), 402),
        (errors.PriceUnknown("x", model="m"), 402),
        (errors.NoCandidate("x", ()), 503),
        (errors.PlanExhausted("x", ()), 502),
        (errors.DeadlineExceeded("x"), 504),
        (errors.GatewayBusy("x"), 503),
        (errors.StreamInterrupted("x"), 502),
        (errors.StoreError("x"), 503),
    ],
)
def test_each_error_has_its_status(error: errors.PolyrouteError, status: int) -> None:
    assert map_error(error).status == status


def test_every_error_that_can_reach_a_door_is_in_the_table() -> None:
    told_at_start = {errors.PolyrouteError, errors.ConfigError, errors.CallerError, errors.RoutingError}
    rows = {row[0] for row in TABLE}
    for kind in _leaves(errors.PolyrouteError) - told_at_start:
        if kind.__module__ != errors.__name__:
            continue  # the command's own: it is a caller, and reaches no door
        assert any(issubclass(kind, row) for row in rows), kind


def test_retry_after_is_never_too_early() -> None:
    assert map_error(errors.RateLimited("x", limit="l", retry_after_s=1.2)).headers["retry-after"] == "2"


@pytest.mark.parametrize(
    ("last", "status"),
    [
        pytest.param(errors.Rejected("bad tool", http_status=422, field="tools"), 422, id="the request was at fault"),
        pytest.param(errors.Rejected("bad key", http_status=401), 502, id="a credential of ours was"),
        pytest.param(errors.Overloaded("busy", http_status=429), 502, id="one of several providers was busy"),
        pytest.param(errors.AuthRejected("no", http_status=403), 502, id="the account may not"),
        pytest.param(None, 502, id="nothing was answered"),
    ],
)
def test_a_provider_s_verdict_on_the_request_keeps_its_status(last: errors.ProviderError | None, status: int) -> None:
    attempt = Attempt(id="a", step=0, deployment="d", provider="p", model="m", upstream_model="m", status="failed")
    assert map_error(errors.PlanExhausted("all", (attempt,), last)).status == status


def test_what_every_attempt_was_told_alike_keeps_its_status() -> None:
    """INTERFACE, section 4: a provider's 4xx other than 401 and 403 keep their status."""
    attempt = Attempt(
        id="a", step=0, deployment="d", provider="p", model="m", upstream_model="m", status="failed", http_status=429
    )
    told = map_error(
        errors.PlanExhausted("all", (attempt,), errors.Overloaded("slow", http_status=429, retry_after_s=6.5))
    )
    assert (told.status, told.kind, told.headers) == (429, "rate_limit_error", {"retry-after": "7"})


@pytest.mark.parametrize("message", ["x" * 9_000, '"' * 9_000, "\u20ac" * 9_000, "\x01" * 9_000])
def test_no_message_makes_an_error_longer_than_two_kilobytes(message: str) -> None:
    told = map_error(errors.InvalidRequest(message, field="f" * 80))
    assert len(OpenAIChat().render_error(told.kind, told.message, field=told.field, code=told.code)) <= 2048


def test_money_errors_tell_sdks_not_to_retry() -> None:
    error = errors.BudgetExceeded("x", budget="b", spent_usd=Decimal("1.5"), limit_usd=Decimal(2))
    assert map_error(error).headers == {"x-should-retry": "false", "x-polyroute-budget-remaining-usd": "0.5"}
