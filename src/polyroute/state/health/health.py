"""How all deployments are doing, told by the ends of calls. Pure: time and draws are passed in.

What a caller's own request brought about (it is wrong, too long, refused by a filter) says nothing of a deployment.
One that answered 429 rests for as long as it asked for; one that fails is left out by its breaker. Where none is left,
all of them are asked as if nothing were known: to try is better than to refuse.
"""

from collections.abc import Callable, Iterable
from typing import Literal

from polyroute.errors import (
    AuthRejected,
    MalformedReply,
    Overloaded,
    ProviderError,
    ProviderTimeout,
    StreamInterrupted,
    Unreachable,
)
from polyroute.state.health.breaker import Breaker, State
from polyroute.state.health.retries import RetryBudget

Standing = Literal["well", "resting", "failing"]
Told = Callable[[str, State, State], None]  # deployment, before, after

_COUNTED = (AuthRejected, MalformedReply, Overloaded, ProviderTimeout, StreamInterrupted, Unreachable)
_LONGEST_REST_S = 60.0
_USUAL_REST_S = 1.0
_TOO_MANY = 429


class Health:
    def __init__(self, now: float, on_turn: Told = lambda deployment, before, after: None) -> None:
        """`on_turn` is told when a breaker opens, tries, rises or closes."""
        self._breakers: dict[str, Breaker] = {}  # of deployments that ever failed
        self._resting_until: dict[str, float] = {}
        self._retries = RetryBudget(now)
        self._on_turn = on_turn

    def standing(self, deployment: str, now: float, draw: float) -> Standing:
        until = self._resting_until.get(deployment)
        if until is not None and now < until:
            return "resting"
        breaker = self._breakers.get(deployment)
        return "well" if breaker is None or breaker.admits(now, draw) else "failing"

    def unwell(self, deployments: Iterable[str], now: float, draw: float) -> dict[str, Standing]:
        """Those to be asked last; none where it would be all of them."""
        if not self._breakers and not self._resting_until:
            return {}
        standings: dict[str, Standing] = {name: self.standing(name, now, draw) for name in deployments}
        found: dict[str, Standing] = {name: standing for name, standing in standings.items() if standing != "well"}
        return found if len(found) < len(standings) else {}

    def came(self, now: float) -> None:
        """A request came: it pays for other requests' further attempts."""
        self._retries.earn(now)

    def allows_another(self, deployment: str) -> bool:
        """Whether a request that has failed already may try here."""
        breaker = self._breakers.get(deployment)
        return breaker is None or not breaker.is_failing or self._retries.spend()

    def began(self, deployment: str, now: float) -> None:
        breaker = self._breakers.get(deployment)
        if breaker is not None:
            before = breaker.state
            breaker.begin(now)
            self._tell(deployment, before, breaker.state)

    def succeeded(self, deployment: str, now: float) -> None:
        breaker = self._breakers.get(deployment)
        if breaker is not None:
            before = breaker.state
            breaker.succeeded(now)
            self._tell(deployment, before, breaker.state)

    def failed(self, deployment: str, error: ProviderError, now: float) -> None:
        if error.http_status == _TOO_MANY:
            rest_s = _USUAL_REST_S if error.retry_after_s is None else error.retry_after_s
            self._resting_until[deployment] = now + min(rest_s, _LONGEST_REST_S)
        elif isinstance(error, _COUNTED):
            breaker = self._breakers.setdefault(deployment, Breaker())
            before = breaker.state
            breaker.failed(now)
            self._tell(deployment, before, breaker.state)

    def states(self) -> dict[str, State]:
        """Of every deployment that ever failed."""
        return {deployment: breaker.state for deployment, breaker in self._breakers.items()}

    def _tell(self, deployment: str, before: State, after: State) -> None:
        if before != after:
            self._on_turn(deployment, before, after)
