"""Settings of what may be spent and where data may go: the words that providers, models, tenants and callers share."""

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta

from polyroute.config.document.words import Count, Settings, about
from polyroute.config.durations import Duration
from polyroute.types.privacy import PiiAction, PiiKind
from polyroute.types.routing import StickyBy


class Budget(Settings, frozen=True):
    """The most money that may be spent per period, in US dollars."""

    daily_usd: Annotated[Decimal | None, about("Per UTC day.")] = None
    weekly_usd: Annotated[Decimal | None, about("Per ISO week, UTC.")] = None
    monthly_usd: Annotated[Decimal | None, about("Per calendar month, UTC.")] = None
    total_usd: Annotated[Decimal | None, about("Ever.")] = None


class Pace(Settings, frozen=True):
    """The most that may be asked in any 60 seconds, and at once."""

    per_minute: Annotated[Count | None, about("Requests.")] = None
    tokens_per_minute: Annotated[Count | None, about("Tokens, read and written.")] = None
    parallel: Annotated[Count | None, about("Requests under way at the same time.")] = None


class Sticky(Settings, frozen=True):
    """Requests that belong together go to the same deployment, where a provider's prompt cache knows them."""

    by: Annotated[
        StickyBy,
        about(
            "`session`: `x-polyroute-session`, `metadata.session_id`, `prompt_cache_key` or `user`. `user`: the key's"
            " user, and the body's. `prompt_prefix`: instructions, tools and the first message."
        ),
    ]
    ttl: Annotated[Duration | None, about("How long after its newest request a place is kept; else 1h.")] = None


class DataPolicy(Settings, frozen=True):
    """What becomes of what a provider is sent. At a provider what it promises, elsewhere what is asked of it."""

    retention_days: Annotated[Annotated[int, Meta(ge=0)] | None, about("Kept for so many days; 0 is not at all.")] = (
        None
    )
    trains: Annotated[bool | None, about("Whether models learn from it.")] = None


class Privacy(Settings, frozen=True):
    """Personal data in requests: what is looked for, and what happens where it is found."""

    detect: Annotated[
        Literal["all"] | tuple[PiiKind, ...],
        about("Kinds: email, card, iban, phone, ip, national_id, passport, secret; phone needs `polyroute[pii]`."),
    ] = "all"
    on_pii: Annotated[
        PiiAction,
        about(
            "`private`: only private deployments may read it. `redact`: placeholders go out, and answers get the values"
            " back. `refuse`: 400. `allow`: told in the receipt."
        ),
    ] = "private"
    phone_regions: Annotated[
        tuple[str, ...],
        about("Countries whose telephone numbers are found without a country's code. Said for the document."),
    ] = ("US",)
