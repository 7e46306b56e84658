"""What a gateway does beside its requests, at start and every few seconds: it closes what dead processes left open, and
knows what was spent.

A database on another machine may be away at either time. Then requests go on: those under a budget only once it is
known what was spent.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

from polyroute.errors import StoreError
from polyroute.state.accounts.accounts import Accounts
from polyroute.state.accounts.budgets import Period, window_start
from polyroute.state.accounts.shared import SharedAccounts
from polyroute.stores.ledger import JournaledLedger
from polyroute.stores.store import Store
from polyroute.types.receipt import Spent

_LOOK_S = 10.0  # a dead process's reservations are free again soon after
_SOON_S = 1.0  # while something is missing

_LOG = logging.getLogger(__name__)


class Kept(Protocol):
    """What is looked after."""

    @property
    def store(self) -> Store: ...

    @property
    def ledger(self) -> JournaledLedger: ...

    @property
    def accounts(self) -> Accounts: ...

    @property
    def leads(self) -> bool:
        """Among the workers of one gateway: what needs to be done once is done here."""


async def catch_up(kept: Kept) -> None:
    """At start. Raises StoreError where the database is on this machine and fails."""
    try:
        dead = await _recover(kept)
    except StoreError as fault:
        _wait_for_books(kept, fault)
    else:
        await restore_budgets(kept, dead)


async def keep_up(kept: Kept) -> None:
    """Until cancelled."""
    while True:
        await asyncio.sleep(_LOOK_S if kept.accounts.knows_spending else _SOON_S)
        try:
            dead = await _recover(kept) if kept.leads else ()
        except StoreError as fault:
            _LOG.debug("put off: %s", fault)
            continue
        if dead or not kept.accounts.knows_spending:
            await restore_budgets(kept, dead)


async def end(keeper: asyncio.Task[None]) -> None:
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)


async def restore_budgets(kept: Kept, dead: tuple[str, ...] = ()) -> None:
    """Sets what was spent to what the books say; what is held for calls under way stays held.

    What is settled while books on another machine are read counts on top: at worst twice until the next restoring, and
    never not at all.
    """
    now, accounts = datetime.now(UTC), kept.accounts
    if isinstance(accounts, SharedAccounts):
        with contextlib.suppress(StoreError):  # the next request under a budget tries again
            await accounts.seed(dead)
        return
    before = accounts.settled_nanos(now)
    try:
        if kept.store.is_remote:
            spent, knows_later = await asyncio.to_thread(_read, kept.store, accounts.windows(now), now)
        else:  # at once: nothing is settled meanwhile
            spent, knows_later = _read(kept.store, accounts.windows(now), now)
    except StoreError as fault:
        _wait_for_books(kept, fault)
        return
    for period, lines in spent.items():
        accounts.restore(period, lines, now, before, knows_later=knows_later)
    if not accounts.knows_spending:
        accounts.open_budgets()
        _LOG.warning("the books can be read; requests under a budget go on")


def _read(store: Store, windows: Mapping[Period, datetime], now: datetime) -> tuple[dict[Period, list[Spent]], bool]:
    """What was spent in each window; and whether anything was in a day to come, by a clock that was set back since."""
    with store.open_books() as books:
        spent = {period: books.spent_since(start) for period, start in windows.items()}
        return spent, bool(spent) and bool(books.spent_since(window_start("daily", now) + timedelta(days=1)))


def _wait_for_books(kept: Kept, fault: StoreError) -> None:
    if not kept.store.is_remote:
        raise fault
    if kept.accounts.knows_spending:
        _LOG.warning("%s. Requests go on; those under a budget wait until the books can be read", fault)
    kept.accounts.close_budgets(str(fault))


async def _recover(kept: Kept) -> tuple[str, ...]:
    """The processes that had died."""
    recovery = await kept.ledger.recover(datetime.now(UTC))
    if recovery.requests:
        _LOG.warning("%d requests of a dead process were closed at %s USD", recovery.requests, recovery.cost_usd)
    return recovery.dead
