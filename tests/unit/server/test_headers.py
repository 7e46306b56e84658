from datetime import UTC, datetime
from decimal import Decimal

import pytest

from polyroute.server.headers import encode, receipt_headers, standing_headers
from polyroute.state.accounts.accounts import RateStandings
from polyroute.types.access import Caller
from polyroute.types.receipt import Receipt
from polyroute.types.routing import Classification


def _receipt(**changes: object) -> Receipt:
    fields: dict[str, object] = {
        "request_id": "req_1",
        "time": datetime(2026, 1, 1, tzinfo=UTC),
        "caller": Caller(),
        "door": "openai_chat",
        "route": "support",
        "requested_model": "support",
        "policy": "abc",
        "state": "settled",
    }
    return Receipt(**{**fields, **changes})  # type: ignore[arg-type]  # the fields under test, by name


def test_what_is_not_known_has_no_header() -> None:
    names = {name for name, _ in receipt_headers(_receipt(), final=False)}
    assert b"x-polyroute-model" not in names
    assert b"x-polyroute-cost-usd" not in names
    assert b"x-polyroute-clamped" not in names


@pytest.mark.parametrize(
    ("changes", "name", "value"),
    [
        ({"cost_usd": Decimal("0.000000100")}, b"x-polyroute-cost-usd", b"0.0000001"),
        ({"cost_usd": Decimal(0)}, b"x-polyroute-cost-usd", b"0"),
        ({"cost_complete": False}, b"x-polyroute-cost-usd", b"unknown"),
        ({"saved_usd": Decimal("-0.5")}, b"x-polyroute-saved-usd", b"-0.5"),
        ({"clamped_to": 20}, b"x-polyroute-clamped", b"20"),
        ({"client_request_id": "mine"}, b"x-request-id", b"mine"),
        (
            {"classification": Classification(label="simple", score=0.126, classifier="c@1")},
            b"x-polyroute-complexity",
            b"simple 0.13",
        ),
    ],
)
def test_a_receipt_s_facts_are_plain_text(changes: dict[str, object], name: bytes, value: bytes) -> None:
    assert dict(receipt_headers(_receipt(**changes), final=True))[name] == value


@pytest.mark.parametrize("hostile", ["a\r\nx-evil: 1", "gr\u00fcn", "a\nb"])
def test_no_name_breaks_a_header(hostile: str) -> None:
    for value in (
        encode({"x": hostile})[0][1],
        dict(receipt_headers(_receipt(model=hostile), final=True))[b"x-polyroute-model"],
    ):
        assert value.isascii()
        assert b"\r" not in value
        assert b"\n" not in value


def test_no_limit_no_standing() -> None:
    assert standing_headers(RateStandings(requests=None, tokens=None), None) == []
