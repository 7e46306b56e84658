"""Settings of who calls: keys, teams, tenants, and what each may use."""

from decimal import Decimal
from typing import Annotated

from msgspec import Meta

from polyroute.config.document.policy import Budget, DataPolicy, Pace, Privacy
from polyroute.config.document.words import Count, Settings, about
from polyroute.config.secret import Secret


class Key(Settings, frozen=True):
    """A caller's key."""

    name: Annotated[str, Meta(min_length=1, max_length=100), about("Shown in receipts.")]
    key: Annotated[Secret, about("What the caller sends.")]
    team: Annotated[str, Meta(min_length=1), about("Who pays.")] = "default"
    user: Annotated[str | None, about("Who calls; else the key's name.")] = None
    tenant: Annotated[str, Meta(min_length=1), about("Whose data must stay apart.")] = "default"
    models: Annotated[tuple[str, ...] | None, about("Routes and models it may ask for; else all.")] = None
    budget: Annotated[Budget, about("The most it may spend.")] = Budget()
    limits: Annotated[Pace, about("The most it may ask.")] = Pace()


class Team(Settings, frozen=True):
    """What one team may use, beside what holds for every team."""

    tenant: Annotated[str, Meta(min_length=1), about("Whose team it is.")] = "default"
    weight: Annotated[
        int, Meta(ge=1, le=1000), about("Its share where there is not enough for all, against other teams' weights.")
    ] = 1
    budget: Annotated[Budget, about("The most it may spend.")] = Budget()
    limits: Annotated[Pace, about("The most it may ask.")] = Pace()


class Limits(Settings, frozen=True):
    """What every user and team may use, and how requests wait where there is not enough for all."""

    per_user_per_minute: Annotated[Count | None, about("Requests of one user.")] = None
    per_team_per_minute: Annotated[Count | None, about("Requests of one team.")] = None
    per_user_tokens_per_minute: Annotated[Count | None, about("Tokens of one user.")] = None
    per_team_tokens_per_minute: Annotated[Count | None, about("Tokens of one team.")] = None
    per_user_parallel: Annotated[Count | None, about("Requests of one user under way at the same time.")] = None
    per_team_parallel: Annotated[Count | None, about("Requests of one team under way at the same time.")] = None
    per_user_daily_usd: Annotated[Decimal | None, about("Money of one user per UTC day.")] = None
    per_user_weekly_usd: Annotated[Decimal | None, about("Per ISO week, UTC.")] = None
    per_user_monthly_usd: Annotated[Decimal | None, about("Per calendar month, UTC.")] = None
    per_user_total_usd: Annotated[Decimal | None, about("Ever.")] = None
    per_team_daily_usd: Annotated[Decimal | None, about("Money of one team per UTC day.")] = None
    per_team_weekly_usd: Annotated[Decimal | None, about("Per ISO week, UTC.")] = None
    per_team_monthly_usd: Annotated[Decimal | None, about("Per calendar month, UTC.")] = None
    per_team_total_usd: Annotated[Decimal | None, about("Ever.")] = None
    parallel: Annotated[
        Count | None, about("Requests under way in one gateway process; more wait, each team in its turn.")
    ] = None
    waiting_per_team: Annotated[
        int, Meta(ge=0), about("Requests of one team that wait for room under a limit that all share; more are 429.")
    ] = 100
    wait_s: Annotated[float, Meta(ge=0.0), about("How long such a request waits at most, in seconds.")] = 10.0


class Tenant(Settings, frozen=True):
    """What holds for every request of a tenant, whatever model or route it names, in fallbacks too."""

    region: Annotated[str | None, about("Only deployments in this region.")] = None
    private: Annotated[bool, about("Only private deployments.")] = False
    allowed_providers: Annotated[tuple[str, ...] | None, about("Only deployments at these providers.")] = None
    data_policy: Annotated[DataPolicy | None, about("What providers must promise.")] = None
    privacy: Annotated[Privacy | None, about("Beside what the route says.")] = None
