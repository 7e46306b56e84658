from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest

from polyroute.errors import Conflict, Forbidden, InvalidRequest, UnknownObject
from polyroute.state.directory import Directory, KeyChange, KeyOrder, taken
from polyroute.state.keys import keyed_digest
from polyroute.stores.records.sqlite import SqliteRecords
from polyroute.types.access import Caller
from polyroute.types.identity import Account, Money, Pace

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ROOT = Caller(user="root", key_id="root", role="admin")
LEAD = Caller(
    user="ann", team="red", tenant="acme", key_id="ann", role="team_admin", models=frozenset({"small", "big"})
)
MEMBER = Caller(user="bob", team="red", tenant="acme", key_id="bob")


@pytest.fixture
def records(tmp_path: Path) -> Iterator[SqliteRecords]:
    with SqliteRecords(tmp_path / "books.db") as opened:
        yield opened


@pytest.fixture
def directory(records: SqliteRecords) -> Directory:
    numbers = count(1)
    return Directory(
        records,
        digest=keyed_digest(b"pepper"),
        utc_now=lambda: NOW,
        new_id=lambda prefix: f"{prefix}_{next(numbers)}",
        new_secret=lambda: f"secret{next(numbers):04}",
    )


def test_a_key_is_told_once_and_kept_as_a_keyed_hash(directory: Directory, records: SqliteRecords) -> None:
    issued = directory.create_key(ROOT, KeyOrder(name="ci", team="red"))
    assert issued.key == "sk-poly-secret0002"
    kept = records.find("key", issued.record.id)
    assert kept is not None
    assert b"secret0002" not in kept.body
    assert issued.record.digest == keyed_digest(b"pepper")(issued.key).hex()
    assert issued.record.digest != keyed_digest(b"other")(issued.key).hex()
    assert (issued.record.user, issued.record.hint) == ("ci", "0002")


def test_no_secret_and_no_hash_is_in_the_audit_log(directory: Directory, records: SqliteRecords) -> None:
    issued = directory.create_key(ROOT, KeyOrder(name="ci"))
    fresh = directory.rotate_key(ROOT, issued.record.id)
    log = b"".join(entry.body for entry in records.entries())
    for secret in (issued.key, fresh.key, issued.record.digest, fresh.record.digest):
        assert secret.encode() not in log
    assert [entry.act.action for entry in records.entries()] == ["keys:create", "keys:rotate"]


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(KeyOrder(role="admin"), id="a higher role"),
        pytest.param(KeyOrder(role="viewer"), id="a role that reaches elsewhere"),
        pytest.param(KeyOrder(team="blue"), id="another team"),
        pytest.param(KeyOrder(tenant="other"), id="another tenant"),
        pytest.param(KeyOrder(models=("small", "secret")), id="a model beyond one's own"),
    ],
)
def test_a_key_never_holds_more_than_its_maker(directory: Directory, order: KeyOrder) -> None:
    with pytest.raises(Forbidden):
        directory.create_key(LEAD, order)
    assert directory.keys(ROOT) == []


def test_where_its_maker_is_bound_to_models_so_is_the_key(directory: Directory) -> None:
    assert directory.create_key(LEAD, KeyOrder()).record.models == ("big", "small")
    assert directory.create_key(LEAD, KeyOrder(models=("small",))).record.models == ("small",)


def test_everyone_sees_the_keys_within_reach_and_no_other(directory: Directory) -> None:
    own = directory.create_key(LEAD, KeyOrder()).record.id
    foreign = directory.create_key(ROOT, KeyOrder(team="blue", tenant="acme")).record.id
    assert [key.id for key in directory.keys(LEAD)] == [own]
    assert {key.id for key in directory.keys(ROOT)} == {own, foreign}
    assert directory.keys(MEMBER) == []
    for act in (directory.key, directory.revoke_key, directory.rotate_key):
        with pytest.raises(UnknownObject):
            act(LEAD, foreign)


def test_a_team_admin_cannot_touch_a_key_that_holds_more(directory: Directory) -> None:
    mighty = directory.create_key(ROOT, KeyOrder(team="red", tenant="acme", role="admin")).record.id
    with pytest.raises(Forbidden, match="more than yours"):
        directory.rotate_key(LEAD, mighty)


def test_what_is_not_said_in_a_change_stays(directory: Directory) -> None:
    made = directory.create_key(ROOT, KeyOrder(models=("a",), limits=Pace(per_minute=5))).record
    changed = directory.change_key(ROOT, made.id, KeyChange(budget=Money(daily_usd=Decimal("1.5"))))
    assert (changed.models, changed.limits, changed.budget.daily_usd) == (("a",), Pace(per_minute=5), Decimal("1.5"))
    assert directory.key(ROOT, made.id) == changed


def test_to_revoke_twice_is_to_revoke_once_and_there_is_no_way_back(
    directory: Directory, records: SqliteRecords
) -> None:
    key = directory.create_key(ROOT, KeyOrder()).record.id
    assert directory.revoke_key(ROOT, key) == directory.revoke_key(ROOT, key)
    assert records.generation() == 2
    with pytest.raises(InvalidRequest, match="revoked"):
        directory.rotate_key(ROOT, key)


@pytest.mark.parametrize(
    ("order", "field"),
    [
        (KeyOrder(name="a/b"), "name"),
        (KeyOrder(name="x" * 101), "name"),
        (KeyOrder(team="a\nb"), "team"),
        (KeyOrder(expires=NOW - timedelta(seconds=1)), "expires"),
        (KeyOrder(budget=Money(daily_usd=Decimal(-1))), "budget.daily_usd"),
        (KeyOrder(budget=Money(total_usd=Decimal("NaN"))), "budget.total_usd"),
        (KeyOrder(limits=Pace(per_minute=0)), "limits.per_minute"),
    ],
)
def test_a_bad_order_names_its_field_and_makes_nothing(directory: Directory, order: KeyOrder, field: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        directory.create_key(ROOT, order)
    assert raised.value.field == field
    assert directory.keys(ROOT) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"team": 5}, "team"),
        ({"budget": {"daily_usd": "much"}}, "budget.daily_usd"),
        ({"budget": {"hourly_usd": 1}}, "budget"),
        ({"roles": "admin"}, None),
        ({"role": "root"}, "role"),
        ({"expires": "soon"}, "expires"),
    ],
)
def test_a_callers_json_is_read_strictly(body: dict[str, object], field: str | None) -> None:
    with pytest.raises(InvalidRequest) as raised:
        taken(KeyOrder, body)
    assert raised.value.field == field


def test_two_tenants_may_each_have_a_team_of_one_name(directory: Directory) -> None:
    for tenant in ("acme", "other"):
        directory.put_account(ROOT, "team", Account(id="red", tenant=tenant, budget=Money(daily_usd=Decimal(1))))
    assert [team.tenant for team in directory.accounts(ROOT, "team")] == ["acme", "other"]
    assert [team.tenant for team in directory.accounts(LEAD, "team")] == ["acme"]
    directory.remove_account(ROOT, "team", "other", "red")
    with pytest.raises(UnknownObject):
        directory.account(ROOT, "team", "other", "red")


def test_what_a_team_may_spend_is_not_its_admins_to_change(directory: Directory) -> None:
    with pytest.raises(Forbidden):
        directory.put_account(LEAD, "team", Account(id="red", tenant="acme"))


def test_a_change_under_way_elsewhere_is_not_overwritten(directory: Directory, records: SqliteRecords) -> None:
    account = Account(id="red", tenant="acme")
    directory.put_account(ROOT, "team", account)
    find = records.find

    def changed_meanwhile(*args: object) -> object:
        found = find("team", "acme/red")
        records.find = find  # type: ignore[method-assign]  # once
        directory.put_account(ROOT, "team", account)
        return found

    records.find = changed_meanwhile  # type: ignore[assignment, method-assign]  # stands for another writer
    with pytest.raises(Conflict):
        directory.put_account(ROOT, "team", account)
