"""How all deployments are doing, told by the ends of calls. Pure: time and draws are passed in.

What a caller's own request brought about (it is wrong, too long, refused by a filter) says nothing of a deployment.
One that answered 429 rests for as long as it asked for; one whose quota has no room for a request is spared the 429;
one that fails is left out by its breaker. Where none is left, all of them are asked as if nothing were known: to try
is better than to refuse.
"""

from collections.abc import Callable, Iterable, Mapping
from math import inf
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
from polyroute.state.health.load import Load
from polyroute.state.health.retries import RetryBudget
from polyroute.types.quota import Quota

Standing = Literal["well", "short of quota", "resting", "failing"]
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
        self._loads: dict[str, Load] = {}  # of deployments that were ever called
        self._metered: dict[str, Load] = {}  # of those whose provider tells what is left of its quota
        self._retries = RetryBudget(now)
        self._on_turn = on_turn

    @property
    def loads(self) -> Mapping[str, Load]:
        """Of every deployment that was ever called."""
        return self._loads

    def standing(self, deployment: str, now: float, draw: float, tokens: int = 0) -> Standing:
        """For a request of about so many tokens."""
        until = self._resting_until.get(deployment)
        if until is not None and now < until:
            return "resting"
        breaker = self._breakers.get(deployment)
        if breaker is not None and not breaker.admits(now, draw):
            return "failing"
        load = self._metered.get(deployment)
        return "well" if load is None or load.carries(tokens, now) else "short of quota"

    def unwell(self, deployments: Iterable[str], now: float, draw: float, tokens: int = 0) -> dict[str, Standing]:
        """Those to be asked last; none where it would be all of them.

        A quota that seems too short is no failure: where nobody else is well, that one is asked first.
        """
        if not self._breakers and not self._resting_until and not self._metered:
            return {}
        standings: dict[str, Standing] = {name: self.standing(name, now, draw, tokens) for name in deployments}
        found: dict[str, Standing] = {name: standing for name, standing in standings.items() if standing != "well"}
        if len(found) < len(standings):
            return found
        found = {name: standing for name, standing in found.items() if standing != "short of quota"}
        return found if len(found) < len(standings) else {}

    def came(self, now: float) -> None:
        """A request came: it pays for other requests' further attempts."""
        self._retries.earn(now)

    def allows_another(self, deployment: str, now: float = inf) -> bool:
        """Whether a request that has failed already may try here: freely, unless it would probably be in vain."""
        breaker, until = self._breakers.get(deployment), self._resting_until.get(deployment)
        in_vain = (breaker is not None and breaker.is_failing) or (until is not None and now < until)
        return not in_vain or self._retries.spend()

    def began(self, deployment: str, now: float, tokens: int = 0) -> None:
        """A call of about so many tokens goes there; `ended` it must be, once."""
        load = self._loads.get(deployment)
        if load is None:
            load = self._loads[deployment] = Load()
        load.sent(tokens)
        breaker = self._breakers.get(deployment)
        if breaker is not None:
            before = breaker.state
            breaker.begin(now)
            self._tell(deployment, before, breaker.state)

    def ended(self, deployment: str) -> Load:
        """A call there is under way no longer, however it ended."""
        load = self._loads[deployment]
        load.in_flight -= 1
        return load

    def told(self, deployment: str, quota: Quota, now: float) -> None:
        """Its provider said what is left of its quota."""
        load = self._metered.get(deployment)
        if load is None:
            load = self._metered[deployment] = self._loads.setdefault(deployment, Load())
        load.told(quota, now)

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
