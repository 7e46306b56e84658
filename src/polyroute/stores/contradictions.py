"""What to say of a settlement that is in the books already: nothing where both agree, else all of it, in the log.

Another process has settled the same request, and the first stands. A guess at what a dead process would have settled
yields silently to what somebody knew.
"""

import logging

from polyroute.stores.journal.lines import Settled
from polyroute.stores.packing import readable

_LOG = logging.getLogger(__name__)


def note_contradiction(entry: Settled, booked_body: bytes | None) -> None:
    """`booked_body`: the receipt in the books; None where it is missing there."""
    settlement = entry.settlement
    if settlement.state == "recovered":
        return
    if booked_body is None or readable(booked_body) != settlement.receipt:
        _LOG.error(
            "request %s is settled already, and differently; the first stands, not %r",
            settlement.request_id,
            entry.body,
        )
