"""Who may call, as it is kept: keys, users, teams, tenants. What each may spend and how fast stands with it."""

from datetime import datetime
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import asdict

from polyroute.types.access import Role

Metadata = dict[str, str | int | float | bool | None]


class Money(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """At most so much, in US dollars, per UTC calendar window. None: no limit."""

    daily_usd: Decimal | None = None
    weekly_usd: Decimal | None = None
    monthly_usd: Decimal | None = None
    total_usd: Decimal | None = None


class Pace(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """At most so much in any 60 seconds, and at once. None: no limit."""

    per_minute: int | None = None  # requests
    tokens_per_minute: int | None = None
    parallel: int | None = None  # requests under way


class KeyRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key that was issued. The key itself is shown once and never kept: `digest` is its keyed hash."""

    id: str
    name: str
    hint: str  # its last four characters, to tell keys apart
    digest: str  # HMAC-SHA-256 in hexadecimal
    tenant: str = "default"
    team: str = "default"
    user: str
    role: Role = "member"
    models: tuple[str, ...] | None = None  # routes and models it may ask for; None: all its team may
    budget: Money = Money()
    limits: Pace = Pace()
    metadata: Metadata = {}
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class Account(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tenant, team or user as managed: what all its keys together may do."""

    id: str
    tenant: str = "default"
    team: str | None = None  # of a user
    models: tuple[str, ...] | None = None
    budget: Money = Money()
    limits: Pace = Pace()
    weight: int = 1  # of a team: its share where there is not enough for all
    metadata: Metadata = {}
    blocked: bool = False


def shown(key: KeyRecord) -> dict[str, object]:
    """A key as its managers see it: its hash is nobody's business."""
    return {name: value for name, value in asdict(key).items() if name != "digest"}
