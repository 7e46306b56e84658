from datetime import UTC, datetime, timedelta

import pytest

from polyroute.errors import ConfigError, Unauthenticated
from polyroute.state.keys import KeyEntry, KeyRing, digest_key
from polyroute.types.access import Caller

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CI = Caller(user="ci", team="platform", key_id="ci")


def entry(key: str = "pr-secret", *, expires_at: datetime | None = None, is_revoked: bool = False) -> KeyEntry:
    return KeyEntry(digest=digest_key(key), caller=CI, expires_at=expires_at, is_revoked=is_revoked)


def test_a_key_finds_its_caller() -> None:
    assert KeyRing([entry()]).authenticate("pr-secret", NOW) is CI


def test_the_admin_key_is_nobody_elses() -> None:
    caller = KeyRing([entry()], admin_digest=digest_key("root")).authenticate("root", NOW)
    assert caller.is_admin


@pytest.mark.parametrize("presented", [None, "", "pr-secre", "pr-secret ", "PR-SECRET", "pr-secret\0", "é", "\ud800"])
def test_anything_else_is_refused(presented: str | None) -> None:
    with pytest.raises(Unauthenticated):
        KeyRing([entry()], admin_digest=digest_key("root")).authenticate(presented, NOW)


def test_a_key_works_until_the_moment_it_expires() -> None:
    ring = KeyRing([entry(expires_at=NOW)])
    assert ring.authenticate("pr-secret", NOW - timedelta(microseconds=1)) is CI
    with pytest.raises(Unauthenticated, match="expired"):
        ring.authenticate("pr-secret", NOW)


def test_a_revoked_key_is_refused() -> None:
    with pytest.raises(Unauthenticated, match="revoked"):
        KeyRing([entry(is_revoked=True)]).authenticate("pr-secret", NOW)


def test_no_key_is_kept_in_clear() -> None:
    ring = KeyRing([entry()], admin_digest=digest_key("root"))
    assert "pr-secret" not in repr(vars(ring))


@pytest.mark.parametrize(
    ("entries", "admin"),
    [
        pytest.param([entry(), entry()], None, id="one key for two"),
        pytest.param([entry("root")], "root", id="the admin key for a caller"),
        pytest.param([entry("")], None, id="an empty key"),
        pytest.param([], "", id="an empty admin key"),
    ],
)
def test_keys_that_cannot_be_told_apart_are_a_config_error(entries: list[KeyEntry], admin: str | None) -> None:
    with pytest.raises(ConfigError):
        KeyRing(entries, admin_digest=None if admin is None else digest_key(admin))
