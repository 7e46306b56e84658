"""An answer held for a person, as it is kept until somebody decides."""

from datetime import datetime, timedelta

from polyroute.journey import Journey
from polyroute.stages.route import ReviewPolicy
from polyroute.state.reviews import review_id
from polyroute.types.response import Response
from polyroute.types.review import Review


def review_of(journey: Journey, answer: Response, body: bytes | None, policy: ReviewPolicy, now: datetime) -> Review:
    """`body`: what the door would have told."""
    draft = journey.prepared.draft
    answered = next(a for a in reversed(journey.run.log.attempts) if a.status == "succeeded")
    return Review(
        id=review_id(draft.request_id),
        request_id=draft.request_id,
        tenant=draft.caller.tenant,
        team=draft.caller.team,
        user=draft.caller.user,
        key_id=draft.caller.key_id,
        route=draft.route,
        model=answered.model,
        door=draft.door,
        asked=journey.prepared.request.last_user_text,
        answer=answer,
        body=body,
        created_at=now,
        expires_at=now + timedelta(seconds=policy.deadline_s),
        lapses_to=policy.lapses_to,
    )
