"""Figures of a settled request that came to be known better: whether there is anything to write. Pure."""

from collections.abc import Callable

from polyroute.errors import StoreError
from polyroute.stores.packing import kept_receipt
from polyroute.stores.rows import unbookable
from polyroute.types.receipt import Amended, Receipt, Settlement

Change = Callable[[Receipt], Receipt | None]


def amended_by(change: Change, request_id: str, found: tuple[bytes] | None) -> Amended | None:
    """`found`: the row of its receipt. Raises StoreError where there is none, or where no row can hold the new one."""
    if found is None:
        raise StoreError(f"request {request_id} is not in the books yet: try again")
    before = kept_receipt(found[0])
    after = change(before)
    if after is None or after == before:
        return None
    reason = unbookable(Settlement(request_id=request_id, settled_at=after.time, state=after.state, receipt=after))
    if reason is not None:
        raise StoreError(f"request {request_id} cannot be amended: {reason}")
    return Amended(before=before, after=after)
