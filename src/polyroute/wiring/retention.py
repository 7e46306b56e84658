"""What is past its retention goes, some minutes after the start and every hour from then on; never on a request's way.

Of several workers and gateways one at a time does it. What fails is tried again with the next round.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

from polyroute.config.document import Retention
from polyroute.errors import Conflict, StoreError
from polyroute.state.reviews import Reviews
from polyroute.stores.expiry import Going
from polyroute.stores.ledger import JournaledLedger

_FIRST_S, _EVERY_S = 300.0, 3600.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # nothing is older
_EVER_S = 1e9
_LOG = logging.getLogger(__name__)

Tell = Callable[[str, int], object]  # what, and how many of it are gone


def goings(retention: Retention, now: datetime) -> Iterator[Going]:
    """What the database itself may delete now, notes last: each has an end of its own."""
    yield Going(kind="receipts", before=_ago(now, retention.receipts_s))
    if retention.ledger is not None:
        yield Going(kind="ledger", before=_ago(now, retention.ledger))
    yield Going(kind="notes", before=now)


def reviews_before(retention: Retention, now: datetime) -> datetime:
    return _ago(now, retention.reviews_s)


async def expire(
    retention: Retention,
    ledger: JournaledLedger,
    reviews: Reviews,
    now: datetime,
    *,
    anew: bool = False,
    tell: Tell = lambda what, removed: None,
) -> dict[str, int]:
    """How many of each went. None at all where another process is at it. Raises StoreError."""
    removed: dict[str, int] = {}
    for going in goings(retention, now):
        count = await ledger.expire(going, anew=anew, tell=partial(tell, going.kind))
        if count is None:
            return removed
        removed[going.kind] = count
    removed["reviews"] = await asyncio.to_thread(reviews.expire, reviews_before(retention, now))
    tell("reviews", removed["reviews"])
    return removed


async def keep_to_it(
    retention: Retention, ledger: JournaledLedger, reviews: Reviews, utc_now: Callable[[], datetime]
) -> None:
    """Until cancelled."""
    pause_s = _FIRST_S
    while True:
        await asyncio.sleep(pause_s)
        pause_s = _EVERY_S
        try:
            removed = await expire(retention, ledger, reviews, utc_now())
        except (StoreError, Conflict) as fault:  # a review that was changed meanwhile is younger now
            _LOG.warning("what is past its retention is deleted later: %s", fault)
            continue
        if any(removed.values()):
            _LOG.info(
                "past its retention: %s", ", ".join(f"{count} {what}" for what, count in removed.items() if count)
            )


def _ago(now: datetime, seconds: float) -> datetime:
    return now - timedelta(seconds=seconds) if seconds < _EVER_S else _EPOCH
