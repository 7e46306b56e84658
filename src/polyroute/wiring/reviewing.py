"""Held answers and whoever the document says must hear of them."""

import asyncio
import time

from polyroute.config.document import Document
from polyroute.ports import Transport
from polyroute.state.reviews import Reviews
from polyroute.telemetry.webhook import Webhook
from polyroute.types.review import Review


class ReviewNotices:
    """Tells a route's webhook in the background: the words of prompt and answer stay here, behind the review's id."""

    def __init__(self, document: Document, transport: Transport) -> None:
        self._webhooks = {
            name: Webhook(hook.url.reveal(), hook.secret.reveal() if hook.secret else None, transport, unix_s=time.time)
            for name, route in document.routes.items()
            if route.review is not None and (hook := route.review.webhook) is not None
        }
        self._under_way: set[asyncio.Task[bool]] = set()

    def tell(self, review: Review) -> None:
        webhook = self._webhooks.get(review.route)
        if webhook is None:
            return
        message: dict[str, object] = {
            "event": f"review.{review.state}",
            "id": review.id,
            "request_id": review.request_id,
            "route": review.route,
            "tenant": review.tenant,
            "team": review.team,
            "user": review.user,
            "expires_at": review.expires_at,
            "decided_by": review.decided_by,
            "reason": review.reason,
            "location": f"/v1/reviews/{review.id}",
        }
        task = asyncio.get_running_loop().create_task(webhook.send(message))
        self._under_way.add(task)  # a loop keeps no task alive by itself
        task.add_done_callback(self._under_way.discard)


async def hold(review: Review, reviews: Reviews, notices: ReviewNotices) -> None:
    await asyncio.to_thread(reviews.hold, review)
    notices.tell(review)
