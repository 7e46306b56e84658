"""Answers kept for later requests: whose they are, what is kept of one, and what a caller or a route says about it."""

from decimal import Decimal

from msgspec import Struct

from polyroute.types.response import Response, StopReason, Usage


class Place(Struct, frozen=True, kw_only=True):
    """Where an answer is kept. The tenant is a part of its own: no key of one tenant is ever looked up for another."""

    tenant: str
    route: str
    key: str  # SHA-256, hexadecimal, of everything that changes the answer


class CachedAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An answer in at least one of its forms: whole or streamed as the door's own bytes, or canonical.

    What a guard has taken out of the request stands in it as placeholders, never as what they stand for.
    """

    request_id: str  # the request that got it first
    model: str | None  # the document's name
    provider: str | None
    answered_model: str | None
    stop: StopReason
    usage: Usage | None
    cost_usd: Decimal  # of that request
    fingerprint: str | None = None
    wire: bytes | None = None
    media_type: str = "application/json"  # of `wire`
    events: bytes | None = None
    tail: bytes | None = None  # of `events`: what belongs to their end
    response: Response | None = None


class Found(Struct, frozen=True, kw_only=True):
    answer: CachedAnswer
    age_s: float
    left_s: float


class CacheRule(Struct, frozen=True, kw_only=True):
    """What a route keeps and shares."""

    exact_s: float | None = None  # how long an answer is kept for the very same request; None: not at all
    coalesce: bool = True  # the very same requests under way at once share one call


class CacheWish(Struct, frozen=True, kw_only=True):
    """What a caller says of one request."""

    reads: bool = True
    stores: bool = True
    ttl_s: float | None = None  # of what is stored; the route's own is the most
    max_age_s: float | None = None  # of what is read
    namespace: str = ""


class Purge(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to go: everything, or what fits all that is given."""

    tenant: str | None = None
    route: str | None = None
    key: str | None = None

    def takes(self, place: Place) -> bool:
        return (
            self.tenant in (None, place.tenant) and self.route in (None, place.route) and self.key in (None, place.key)
        )


class CacheStanding(Struct, frozen=True, kw_only=True):
    """How full a cache is; None where it is not known."""

    kind: str  # "memory" or the shared store's address
    entries: int | None = None
    bytes: int | None = None
    evicted: int | None = None  # to make room, since the start
