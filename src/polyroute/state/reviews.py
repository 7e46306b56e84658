"""Held answers: kept until somebody decides, or their time is over. Synchronous; each decision is an audit entry.

A decision is final. Whoever asked does not decide on the own answer, unless an administrator. Nobody has to be there
for the deadline: a review past it reads as what its route said it lapses to.
"""

from collections.abc import Callable, Iterator
from datetime import datetime

from msgspec import json
from msgspec.structs import replace

from polyroute.authorisation import Resource, allowed, authorise
from polyroute.errors import Conflict, Forbidden, InvalidRequest, UnknownObject
from polyroute.ports import Records
from polyroute.types.access import Caller
from polyroute.types.content import Text
from polyroute.types.records import Act, Put, Record, Remove
from polyroute.types.response import Response, StopReason
from polyroute.types.review import Decision, Review, ReviewState

_STATES: dict[Decision, ReviewState] = {"approve": "approved", "edit": "edited", "reject": "rejected"}
_MAX_REASON = 2_000
_MAX_EDIT = 1_000_000  # characters
_AT_ONCE = 50  # go in one change


class Reviews:
    def __init__(self, records: Records, utc_now: Callable[[], datetime]) -> None:
        self._records = records
        self._utc_now = utc_now

    def hold(self, review: Review) -> None:
        """Durable when it returns. Raises StoreError."""
        put = Put(kind="review", id=review.id, tenant=review.tenant, body=json.encode(review), version=0)
        self._records.change([put], self._act(review.key_id or review.user, "member", "reviews:hold", review, {}))

    def find(self, actor: Caller, review_id: str) -> Review:
        """As it stands now. Raises UnknownObject, also where it is out of the actor's reach."""
        return self._find(actor, review_id)[0]

    def state_of(self, review_id: str) -> ReviewState | None:
        record = self._records.find("review", review_id)
        return None if record is None else self._now(json.decode(record.body, type=Review)).state

    def every(self, actor: Caller, state: ReviewState | None = None) -> list[Review]:
        """Those within reach, the oldest first."""
        found = [review for review in self._all() if allowed(actor, "reviews:read", _whose(review))]
        return sorted((r for r in found if state in (None, r.state)), key=lambda r: (r.created_at, r.id))

    def decide(
        self, actor: Caller, review_id: str, decision: Decision, *, text: str | None = None, reason: str | None = None
    ) -> Review:
        """Raises Conflict where it is decided or lapsed already."""
        review, version = self._find(actor, review_id)
        authorise(actor, "reviews:decide", _whose(review))
        if actor.key_id == review.key_id and not actor.is_admin:
            raise Forbidden("an answer is not approved by the key that asked for it")
        if review.state != "pending":
            raise Conflict(f"the review `{review_id}` is {review.state} already")
        if reason is not None and len(reason) > _MAX_REASON:
            raise InvalidRequest(f"`reason` is over {_MAX_REASON} characters", field="reason")
        if decision == "reject" and not reason:
            raise InvalidRequest("`reason` is missing: say why the answer is rejected", field="reason")
        answer = review.answer
        if decision == "edit":
            if text is None or not text or len(text) > _MAX_EDIT:
                raise InvalidRequest(f"`text` must be the new answer, of 1 to {_MAX_EDIT} characters", field="text")
            answer = _rewritten(answer, text)
        decided = replace(
            review,
            state=_STATES[decision],
            answer=answer,
            body=None if decision == "edit" else review.body,
            decided_at=self._utc_now(),
            decided_by=actor.key_id or actor.user,
            reason=reason,
        )
        put = Put(kind="review", id=review.id, tenant=review.tenant, body=json.encode(decided), version=version)
        act = self._act(
            actor.key_id or actor.user, actor.role, f"reviews:{decision}", review, {"reason": reason} if reason else {}
        )
        self._records.change([put], act)
        return decided

    def over_before(self, moment: datetime) -> list[Record]:
        """Decided, or past the deadline, before `moment`."""
        records = self._records.every("review")
        return [record for record in records if self._over_at(json.decode(record.body, type=Review)) < moment]

    def expire(self, moment: datetime) -> int:
        """How many of those went, a few at a time; the audit log says that they did."""
        over = self.over_before(moment)
        for start in range(0, len(over), _AT_ONCE):
            some = over[start : start + _AT_ONCE]
            act = Act(
                at=self._utc_now(),
                actor="retention",
                role="admin",
                action="reviews:expire",
                kind="review",
                id=some[0].id,
                detail={"removed": len(some), "before": moment.isoformat()},
            )
            self._records.change([Remove(kind="review", id=record.id, version=record.version) for record in some], act)
        return len(over)

    def _over_at(self, review: Review) -> datetime:
        return review.decided_at or review.expires_at

    def _all(self) -> Iterator[Review]:
        return (self._now(json.decode(record.body, type=Review)) for record in self._records.every("review"))

    def _find(self, actor: Caller, review_id: str) -> tuple[Review, int]:
        record = self._records.find("review", review_id)
        review = None if record is None else self._now(json.decode(record.body, type=Review))
        if record is None or review is None or not allowed(actor, "reviews:read", _whose(review)):
            raise UnknownObject(f"there is no review `{review_id[:80]}`")
        return review, record.version

    def _now(self, review: Review) -> Review:
        is_over = review.state == "pending" and self._utc_now() >= review.expires_at
        return replace(review, state=review.lapses_to, decided_at=review.expires_at) if is_over else review

    def _act(self, actor: str, role: str, action: str, review: Review, detail: dict[str, object]) -> Act:
        return Act(
            at=self._utc_now(),
            actor=actor,
            role=role,
            action=action,
            kind="review",
            id=review.id,
            tenant=review.tenant,
            detail=detail,
        )


def review_id(request_id: str) -> str:
    """One request has one held answer at most."""
    return f"rev_{request_id.removeprefix('req_')}"


def _whose(review: Review) -> Resource:
    return Resource(tenant=review.tenant, team=review.team, user=review.user)


def _rewritten(answer: Response, text: str) -> Response:
    """The first choice says `text` and nothing else; what the model had thought or called goes with its words."""
    first = answer.choices[0]
    said = replace(first, parts=(Text(text=text),), stop=StopReason.END, raw_stop=None, logprobs=None)
    return replace(answer, choices=(said,))
