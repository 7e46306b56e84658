"""LiteLLM's words for keys, users and teams, and ours. Pure.

What has no counterpart here is refused by name; null, and what is empty, asks for nothing.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from polyroute.errors import InvalidRequest
from polyroute.state.directory import KeyOrder
from polyroute.types.access import Caller
from polyroute.types.identity import Account, KeyRecord, Metadata, Money, Pace

_ALL_MODELS = frozenset({"all-proxy-models", "all-team-models"})
_WINDOWS = {"1d": "daily_usd", "24h": "daily_usd", "7d": "weekly_usd", "30d": "monthly_usd", "1mo": "monthly_usd"}
_UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1),
          "w": timedelta(weeks=1), "mo": timedelta(days=30)}  # fmt: skip


class Allowed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What keys, users and teams have in common."""

    models: tuple[str, ...] | None = None
    max_budget: Decimal | None = None
    budget_duration: str | None = None
    tpm_limit: int | None = None
    rpm_limit: int | None = None
    max_parallel_requests: int | None = None
    metadata: Metadata | None = None
    blocked: bool | None = None


class KeyBody(Allowed, frozen=True, kw_only=True):
    key: str | None = None  # of the one to change
    key_alias: str | None = None
    duration: str | None = None
    user_id: str | None = None
    team_id: str | None = None


class UserBody(Allowed, frozen=True, kw_only=True):
    user_id: str | None = None
    user_email: str | None = None
    user_alias: str | None = None
    team_id: str | None = None
    auto_create_key: bool = True
    key_alias: str | None = None
    duration: str | None = None


class TeamBody(Allowed, frozen=True, kw_only=True):
    team_id: str | None = None
    team_alias: str | None = None


class Removed(Struct, frozen=True, kw_only=True):
    keys: tuple[str, ...] = ()
    key_aliases: tuple[str, ...] = ()


class Names(Struct, frozen=True, kw_only=True):
    id: str
    team: str | None = None


def known(told: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Without what is null: that is not asked for."""
    given = {name: value for name, value in told.items() if value is not None}
    names = set(names)
    for name, value in given.items():
        if name not in names and value not in ([], {}, False):
            raise InvalidRequest(f"`{name[:80]}` has no counterpart here: leave it out", field=name[:80])
    return {name: value for name, value in given.items() if name in names}


def key_order(body: KeyBody, now: datetime) -> KeyOrder:
    return KeyOrder(
        name=body.key_alias,
        team=body.team_id,
        user=body.user_id,
        models=models_of(body.models),
        budget=budget_of(body),
        limits=pace_of(body, Pace()) or Pace(),
        metadata=body.metadata or {},
        expires=expiry(body.duration, now),
    )


def account_of(
    names: Names, body: Allowed, caller: Caller, *, before: Account | None = None, **also: str | None
) -> Account:
    found = before or Account(id=names.id, tenant=caller.tenant)
    metadata = {**found.metadata, **(body.metadata or {}), **{k: v for k, v in also.items() if v is not None}}
    return replace(
        found,
        team=names.team or found.team,
        models=found.models if body.models is None else models_of(body.models),
        budget=found.budget if body.max_budget is None else budget_of(body),
        limits=pace_of(body, found.limits) or found.limits,
        metadata=metadata,
        blocked=found.blocked if body.blocked is None else body.blocked,
    )


def models_of(named: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """None of them means all."""
    return None if not named or _ALL_MODELS.intersection(named) else named


def budget_of(body: Allowed) -> Money:
    if body.max_budget is None:
        if body.budget_duration is not None:
            raise InvalidRequest("`budget_duration` needs a `max_budget`", field="budget_duration")
        return Money()
    window = "total_usd" if body.budget_duration is None else _WINDOWS.get(body.budget_duration)
    if window is None:
        raise InvalidRequest(
            f"a `budget_duration` of `{str(body.budget_duration)[:40]}` has no counterpart here: 1d, 7d or 30d"
            " (a UTC day, ISO week or calendar month), or none",
            field="budget_duration",
        )
    return Money(**{window: body.max_budget})


def pace_of(body: Allowed, before: Pace) -> Pace | None:
    """None where nothing of it is asked for."""
    asked = (body.rpm_limit, body.tpm_limit, body.max_parallel_requests)
    if asked == (None, None, None):
        return None
    return Pace(
        per_minute=before.per_minute if body.rpm_limit is None else body.rpm_limit,
        tokens_per_minute=before.tokens_per_minute if body.tpm_limit is None else body.tpm_limit,
        parallel=before.parallel if body.max_parallel_requests is None else body.max_parallel_requests,
    )


def expiry(duration: str | None, now: datetime) -> datetime | None:
    if duration is None:
        return None
    unit = next((unit for unit in sorted(_UNITS, key=len, reverse=True) if duration.endswith(unit)), "")
    number = duration.removesuffix(unit)
    if not unit or not number.isdecimal() or not 0 < len(number) < 7:
        raise InvalidRequest(
            f"`duration` must be as 30s, 30m, 30h, 30d or 1mo, got {duration[:40]!r}", field="duration"
        )
    return now + int(number) * _UNITS[unit]


def shown_key(key: KeyRecord, spent: Decimal) -> dict[str, object]:
    return {
        "token": key.id,
        "token_id": key.id,
        "key_name": f"sk-...{key.hint}",
        "key_alias": key.name,
        "user_id": key.user,
        "team_id": key.team,
        "expires": key.expires_at,
        "created_at": key.created_at,
        "created_by": key.created_by,
        "blocked": key.revoked_at is not None,
        **_common(key, spent),
    }


def shown_account(account: Account, name: str, spent: Decimal) -> dict[str, object]:
    kind = name.removesuffix("_id")
    also = {f"{kind}_alias": account.metadata.get("alias")}
    if kind == "user":
        also["user_email"] = account.metadata.get("email")
    return {name: account.id, **also, "blocked": account.blocked, **_common(account, spent)}


def _common(owner: KeyRecord | Account, spent: Decimal) -> dict[str, object]:
    duration, amount = next(
        (
            (theirs, getattr(owner.budget, ours))
            for theirs, ours in (("1d", "daily_usd"), ("7d", "weekly_usd"), ("30d", "monthly_usd"), (None, "total_usd"))
            if getattr(owner.budget, ours) is not None
        ),
        (None, None),
    )
    return {
        "models": owner.models or (),
        "spend": spent,
        "max_budget": amount,
        "budget_duration": duration,
        "tpm_limit": owner.limits.tokens_per_minute,
        "rpm_limit": owner.limits.per_minute,
        "max_parallel_requests": owner.limits.parallel,
        "metadata": owner.metadata,
    }


def day_in(query: Mapping[str, str], name: str, default: datetime) -> datetime:
    try:
        at = datetime.fromisoformat(query[name]) if name in query else default
    except ValueError:
        raise InvalidRequest(
            f"`{name}` must be a day such as 2026-01-31, got {query[name][:40]!r}", field=name
        ) from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def count_in(query: Mapping[str, str], name: str, default: int) -> int:
    given = query.get(name, str(default))
    if not given.isdecimal() or not 0 < len(given) < 7 or int(given) == 0:
        raise InvalidRequest(f"`{name}` must be a positive whole number, got {given[:40]!r}", field=name)
    return int(given)
