"""What one call for several requests costs each of them. Pure.

Each who joined pays the same whole number of nano-dollars of every attempt, and the one whose call it was pays the
rest: all together it is what the attempts cost, to the nano-dollar. Tokens stay with the one that called, so that the
provider's bill is found in the books once.
"""

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from polyroute.types.money import ZERO_USD, from_nanos, round_usd, to_nanos
from polyroute.types.receipt import Attempt


class Shares(Struct, frozen=True, kw_only=True):
    attempts: tuple[Attempt, ...]  # of the one that called, at its own share
    joined: tuple[Attempt, ...] = ()  # of each of the others, `id` to be made its own
    given_usd: Decimal = ZERO_USD  # by the others together

    @property
    def each_usd(self) -> Decimal:
        return sum((attempt.cost_usd or ZERO_USD for attempt in self.joined), ZERO_USD)

    def for_request(self, request_id: str) -> tuple[Attempt, ...]:
        return tuple(replace(attempt, id=f"{request_id}.{at}") for at, attempt in enumerate(self.joined))


def shared(attempts: Sequence[Attempt], joined: int) -> Shares:
    if not joined:
        return Shares(attempts=tuple(attempts))
    own, others, given = [], [], ZERO_USD
    for attempt in attempts:
        cost_usd = attempt.cost_usd
        each_usd = None if cost_usd is None else from_nanos(to_nanos(round_usd(cost_usd)) // (joined + 1))
        if cost_usd is None or each_usd is None:
            own.append(attempt)
        else:
            own.append(replace(attempt, cost_usd=round_usd(cost_usd) - each_usd * joined))
            given += each_usd * joined
        if each_usd or attempt.status == "succeeded":
            others.append(replace(attempt, cost_usd=each_usd, usage=None, role="shared", verdicts=()))
    return Shares(attempts=tuple(own), joined=tuple(others), given_usd=given)
