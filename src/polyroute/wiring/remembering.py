"""What cascades found lately, kept in the store once a minute and at the end, so that a restart forgets nothing.

Off the request's path. One note for all processes of a gateway; the last one that wrote it is believed. Where the store
cannot be had, what was found is found again.
"""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

from polyroute.errors import StoreError
from polyroute.ports import Notes
from polyroute.state.escalations import Escalations

_SPACE, _NAME = "cascades", "rates"
_EVERY_S = 60.0
_KEPT_FOR = timedelta(days=1)  # by then nothing of it counts any more


async def recall(escalations: Escalations, notes: Notes) -> None:
    """Before the first request."""
    now = datetime.now(UTC)
    with contextlib.suppress(StoreError):
        found = await asyncio.to_thread(notes.look, _SPACE, (_NAME,), now=now)
        if _NAME in found:
            escalations.recall(found[_NAME], now)


async def remember(escalations: Escalations, notes: Notes) -> None:
    """Until cancelled; then once more."""
    try:
        while True:
            await asyncio.sleep(_EVERY_S)
            await _keep(escalations, notes)
    finally:
        await _keep(escalations, notes)


async def _keep(escalations: Escalations, notes: Notes) -> None:
    now = datetime.now(UTC)
    if escalations.standings():
        with contextlib.suppress(StoreError):
            await asyncio.to_thread(_write, notes, escalations.remembered(now), now)


def _write(notes: Notes, told: bytes, now: datetime) -> None:
    before = notes.keep(_SPACE, _NAME, told, now=now, until=now + _KEPT_FOR)
    if before is not None:
        notes.swap(_SPACE, _NAME, before, told, until=now + _KEPT_FOR)
