"""Work that can wait (`class: batch`, `deferred`) lets all others go first, once its body has said that it is such."""

import asyncio
from time import monotonic

from polyroute.server.overload.crowd import Crowd, Refusal
from polyroute.server.overload.refusals import error_of
from polyroute.state.accounts.fair import Team
from polyroute.types.access import Caller


class _Patient:
    """A request on its way that lets all others go first: a `Visitor`."""

    is_patient = is_inside = True

    def __init__(self, team: Team, weight: int) -> None:
        self.team, self.weight = team, weight
        self.waits = False
        self.called: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def enter(self) -> None:
        if not self.called.done():
            self.called.set_result(None)

    def refuse(self, refusal: Refusal) -> None:
        if not self.called.done():
            self.called.set_exception(error_of(refusal))


async def make_way(crowd: Crowd, caller: Caller, weight: int) -> None:
    """Waits until nobody in a hurry does. Raises GatewayBusy or RateLimited."""
    if crowd.is_calm:
        return
    patient = _Patient((caller.tenant, caller.team), weight)
    refusal = crowd.come(patient, monotonic())
    if refusal is not None:
        raise error_of(refusal)
    try:
        await patient.called
    finally:
        crowd.leave(patient)
