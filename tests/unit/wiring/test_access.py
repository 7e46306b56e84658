from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from polyroute.config.load import reads
from polyroute.errors import Unauthenticated
from polyroute.types.access import Caller
from polyroute.wiring.access import Gate, allowances, is_loopback

ENV = {"CI_KEY": "pk-ci-0123456789abcdef", "POLYROUTE_ADMIN_KEY": "pk-admin-0123456789abcdef"}
DOCUMENT = """
providers: {sim: {dialect: simulated}}
models: {small: {provider: sim, price: free, budget: {weekly_usd: 7}}, large: sim/large}
keys: [{name: ci, key: {env: CI_KEY}, team: platform, tenant: acme, models: [small]}]
limits: {per_user_per_minute: 20, per_team_tokens_per_minute: 9, per_team_daily_usd: 500}
"""
CI = Caller(user="ci", team="platform", tenant="acme", key_id="ci", models=frozenset({"small"}))


def authenticate(text: str = DOCUMENT) -> Callable[[Mapping[str, str]], Caller | None]:
    return Gate(reads(text, ENV, folder=Path()).document, ENV).authenticate


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("authorization", f"Bearer {ENV['CI_KEY']}"),
        ("authorization", f"bearer  {ENV['CI_KEY']} "),
        ("x-api-key", ENV["CI_KEY"]),
        ("api-key", ENV["CI_KEY"]),
        ("x-goog-api-key", ENV["CI_KEY"]),
    ],
)
def test_a_key_is_found_wherever_an_sdk_puts_it(name: str, value: str) -> None:
    assert authenticate()({name: value}) == CI


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": f"Basic {ENV['CI_KEY']}"},
        {"authorization": ENV["CI_KEY"]},
        {"x-api-key": "wrong"},
        {"x-api-key": ENV["CI_KEY"].upper()},
        {"x-api-key": "ключ"},
        {"authorization": "Bearer wrong", "x-api-key": ENV["CI_KEY"]},
    ],
)
def test_anybody_else_is_unknown(headers: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated):
        authenticate()(headers)


def test_the_admin_key_is_an_admins() -> None:
    found = [authenticate()({"x-api-key": ENV[name]}) for name in ("POLYROUTE_ADMIN_KEY", "CI_KEY")]
    assert [caller.is_admin for caller in found if caller is not None] == [True, False]


def test_an_open_gateway_asks_nobody() -> None:
    document = DOCUMENT + "server: {auth: open}\n"
    assert authenticate(document)({"x-api-key": "anything"}) == Caller()


def test_limits_become_allowances() -> None:
    found = allowances(reads(DOCUMENT, ENV, folder=Path()).document)
    assert (found.per_user.requests_per_minute, found.per_user.tokens_per_minute) == (20, None)
    assert (found.per_team.requests_per_minute, found.per_team.tokens_per_minute) == (None, 9)
    assert (found.user_budget.daily_usd, found.team_budget.daily_usd) == (None, Decimal(500))
    assert {name: model.budget.weekly_usd for name, model in found.models.items()} == {"small": Decimal(7)}


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("0.0.0.0", False), ("a.b", False)],
)
def test_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
