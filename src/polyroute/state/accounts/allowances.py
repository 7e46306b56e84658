"""What is allowed, as values: rates per minute, requests at once, money per calendar window. The document's words are
config's.
"""

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct, field


class Rates(Struct, frozen=True, kw_only=True):
    """At most so much in any 60 seconds, and at once. None: no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    parallel: int | None = None  # requests under way


class Budget(Struct, frozen=True, kw_only=True):
    """At most so much money per calendar window (UTC; weeks begin on Monday). None: no limit."""

    daily_usd: Decimal | None = None
    weekly_usd: Decimal | None = None
    monthly_usd: Decimal | None = None
    total_usd: Decimal | None = None


class Allowance(Struct, frozen=True, kw_only=True):
    """What one key, user, team or tenant is allowed beyond what holds for all of its kind; or one model, deployment or
    provider.
    """

    rates: Rates = Rates()
    budget: Budget = Budget()
    weight: int = 1  # of a team: its share where there is not enough for all


class Waiting(Struct, frozen=True, kw_only=True):
    """How requests wait where a shared limit has no room."""

    per_team: int = 100  # requests; more are refused
    longest_s: float = 10.0


class OfEach(Struct, frozen=True, kw_only=True):
    """What every user and team may use, each by itself."""

    per_user: Rates = Rates()
    per_team: Rates = Rates()
    user_budget: Budget = Budget()
    team_budget: Budget = Budget()


class Allowances(OfEach, frozen=True, kw_only=True):
    """Everything a document allows. `per_user` and `per_team` hold for each of them by itself."""

    of_tenants: Mapping[str, OfEach] = field(default_factory=dict)  # in place of what the document allows each

    keys: Mapping[str, Allowance] = field(default_factory=dict)  # by key id
    users: Mapping[tuple[str, str], Allowance] = field(default_factory=dict)  # by tenant and name
    teams: Mapping[tuple[str, str], Allowance] = field(default_factory=dict)  # by tenant and name
    tenants: Mapping[str, Allowance] = field(default_factory=dict)
    models: Mapping[str, Allowance] = field(default_factory=dict)  # by the document's name of the model
    deployments: Mapping[str, Allowance] = field(default_factory=dict)  # by id
    providers: Mapping[str, Allowance] = field(default_factory=dict)
    gateway: Rates = Rates()  # all requests together
    waiting: Waiting = Waiting()

    def of_each(self, tenant: str) -> OfEach:
        return self.of_tenants.get(tenant, self)
