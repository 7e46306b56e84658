"""An answer that a person has to approve before its caller gets it."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from polyroute.types.response import Response

ReviewState = Literal["pending", "approved", "edited", "rejected", "expired"]
Decision = Literal["approve", "edit", "reject"]


class Review(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A held answer. It was paid for when it was given; nothing that happens to it here costs anything."""

    id: str
    request_id: str
    tenant: str
    team: str
    user: str
    key_id: str | None = None
    route: str
    model: str | None = None  # that answered
    door: str  # the dialect it was asked in; "execute" or "python" for the call without one
    asked: str  # the newest user message, for who reviews
    answer: Response
    body: bytes | None = None  # what the door would have told; None: rendered from `answer`
    created_at: datetime
    expires_at: datetime
    lapses_to: Literal["expired", "approved"] = "expired"  # where nobody decided in time
    state: ReviewState = "pending"
    decided_at: datetime | None = None
    decided_by: str | None = None
    reason: str | None = None
