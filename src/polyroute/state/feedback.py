"""What callers thought of answers: a score, perhaps with words. Of one caller on one receipt the last counts.

One note per receipt holds everybody's word on it, and goes when the receipt does. Never looks into answers.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct, json

from polyroute.authorisation import Resource, authorise
from polyroute.ports import Notes
from polyroute.types.access import Caller
from polyroute.types.receipt import Feedback, Receipt

_SPACE = "feedback"
_MAX_COMMENT = 2_000
_LONGEST = timedelta(days=36_500)


class FeedbackOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As a caller sends it."""

    receipt: str
    score: Annotated[float, Meta(ge=0.0, le=1.0)]  # 0: useless; 1: as good as can be
    comment: Annotated[str, Meta(max_length=_MAX_COMMENT)] | None = None


class FeedbackBook:
    """Synchronous; raises StoreError."""

    def __init__(self, notes: Notes, utc_now: Callable[[], datetime], kept_s: float) -> None:
        self._notes = notes
        self._utc_now = utc_now
        self._kept = min(timedelta(seconds=min(kept_s, _LONGEST.total_seconds())), _LONGEST)

    def give(self, actor: Caller, receipt: Receipt, order: FeedbackOrder) -> Feedback:
        """Durable when it returns. Raises Forbidden."""
        whose = Resource(tenant=receipt.caller.tenant, team=receipt.caller.team, user=receipt.caller.user)
        authorise(actor, "feedback:write", whose)
        now = self._utc_now()
        given = Feedback(
            score=order.score,
            comment=order.comment,
            tenant=actor.tenant,
            team=actor.team,
            user=actor.user,
            key_id=actor.key_id,
            at=now,
        )
        name, until = receipt.request_id, now + self._kept
        alone = json.encode((given,))
        known = self._notes.keep(_SPACE, name, alone, now=now, until=until)
        while known is not None:
            said = (*(one for one in _read(known) if one.giver != given.giver), given)
            if self._notes.swap(_SPACE, name, known, json.encode(said), until=until):
                break
            known = self._notes.keep(_SPACE, name, alone, now=now, until=until)  # somebody else's word came between
        return given

    def of(self, request_id: str) -> tuple[Feedback, ...]:
        """What was said of one receipt, the oldest first."""
        found = self._notes.look(_SPACE, [request_id], now=self._utc_now()).get(request_id)
        return () if found is None else _read(found)

    def every(self) -> Iterator[tuple[str, tuple[Feedback, ...]]]:
        """By request id."""
        return ((name, _read(body)) for name, body in self._notes.held(_SPACE, now=self._utc_now()).items())


def _read(body: bytes) -> tuple[Feedback, ...]:
    return json.decode(body, type=tuple[Feedback, ...])
