import hmac
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import pytest

from polyroute.errors import ConfigError, Unauthenticated
from polyroute.state.keys import Digest, KeyEntry, KeyRing, digest_key, keyed_digest
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


class Opaque(str):
    """A key that tells nothing of its parts: it may be encoded, as a whole, and nothing else."""

    __slots__ = ()

    def _looked_at(self, *given: object) -> NoReturn:
        raise AssertionError("a presented key was looked at before it was hashed")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = _looked_at
    __getitem__ = __contains__ = __iter__ = startswith = endswith = find = index = _looked_at


@pytest.mark.parametrize("digest", [digest_key, keyed_digest(b"pepper")], ids=["declared", "stored"])
def test_how_far_a_key_is_right_changes_nothing_that_is_done(digest: Digest, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a wrong key the same is done whichever it is: one hash of the whole, one comparison of two digests."""
    right = "pk-0123456789abcdef0123456789abcdef"
    ring = KeyRing([KeyEntry(digest=digest("pk-other"), caller=Caller())], admin_digest=digest(right), digest=digest)
    done: list[tuple[int, int]] = []
    in_constant_time = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        done.append((len(one), len(other)))
        return in_constant_time(one, other)

    monkeypatch.setattr("polyroute.state.keys.hmac.compare_digest", compare)
    steps = []
    for wrong in ("x" + right[1:], right[:-1] + "x", right[:8], right + "x", "pk-othe", "\u00e9" * 40):
        done.clear()
        with pytest.raises(Unauthenticated):
            ring.authenticate(Opaque(wrong), NOW)
        steps.append(tuple(done))
    assert set(steps) == {((32, 32),)}
    assert ring.authenticate(Opaque(right), NOW).is_admin
