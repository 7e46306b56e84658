"""A process that serves one thing after another, on a clock that is made up: what a turn of its loop does takes as long
as that costs. Requests start, wait for a provider, and finish; who is sent away costs a little too.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from polyroute.server.overload.crowd import Bounds, Crowd, Refusal
from polyroute.state.accounts.fair import Team

START_S, FINISH_S, REFUSAL_S = 0.00016, 0.0002, 0.000012
CAPACITY = 1 / (START_S + FINISH_S)  # a second
BLUE, RED = ("t", "blue"), ("t", "red")


@dataclass(kw_only=True)
class Guest:
    core: "Core"
    team: Team
    came_s: float
    is_patient: bool = False
    weight: int = 1
    is_inside: bool = False
    waits: bool = False

    def enter(self) -> None:
        self.core.under_way += 1
        self.core.starting.append(self)

    def refuse(self, refusal: Refusal) -> None:
        self.core.refused(self, refusal)


@dataclass(kw_only=True)
class Seen:
    """Of one team."""

    answer_s: list[tuple[float, float]] = field(default_factory=list)  # when, and how long after it came
    refusal_s: list[float] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def good(self, bound_s: float, since_s: float, until_s: float) -> float:
        """Answers a second."""
        return sum(since_s <= at_s < until_s and taken <= bound_s for at_s, taken in self.answer_s) / (
            until_s - since_s
        )


class Core:
    def __init__(self, bounds: Bounds | None = None, provider_s: float = 0.06) -> None:
        self.crowd = Crowd(bounds or Bounds())
        self.crowd.under_way = lambda: self.under_way
        self.crowd.served = lambda: self.served
        self.now_s = 100.0
        self.under_way = self.served = 0
        self.starting: list[Guest] = []
        self.seen: defaultdict[Team, Seen] = defaultdict(Seen)
        self.limits: list[float] = []
        self.most_under_way = 0
        self._provider_s = provider_s
        self._at_provider: list[tuple[float, int, Guest]] = []
        self._refusals_due = 0
        self._number = 0
        self._looked_s = 0.0

    def live(self, arrivals: Iterator[tuple[float, Team]], seconds: float) -> None:
        """`arrivals`: when each comes, from now on, in order."""
        began_s, ends_s = self.now_s, self.now_s + seconds
        coming = next(arrivals, None)
        while self.now_s < ends_s:
            turn_began_s = self.now_s
            starting, self.starting = self.starting, []
            for guest in starting:
                self.now_s += START_S
                self._number += 1
                heapq.heappush(self._at_provider, (self.now_s + self._provider_s, self._number, guest))
            while self._at_provider and self._at_provider[0][0] <= turn_began_s:
                self._finish(heapq.heappop(self._at_provider)[2])
            while coming is not None and began_s + coming[0] <= turn_began_s:
                self._arrive(Guest(core=self, team=coming[1], came_s=began_s + coming[0]))
                coming = next(arrivals, None)
            turn_s = self.now_s - turn_began_s
            if self.now_s - self._looked_s >= (0.05 if self.crowd.is_calm else 0.01):
                self._looked_s = self.now_s
                self.crowd.look(turn_s, self.now_s)
                self.limits.append(self.crowd.limit.requests)
            if turn_s == 0:  # nothing to do: until something comes
                self.now_s += 0.0005
            self.most_under_way = max(self.most_under_way, self.under_way)

    def refused(self, guest: Guest, refusal: Refusal) -> None:
        self.now_s += REFUSAL_S
        self.seen[guest.team].refusal_s.append(self.now_s - guest.came_s)
        self.seen[guest.team].refusals.append(refusal)

    def _arrive(self, guest: Guest) -> None:
        if self.crowd.is_calm:
            guest.enter()
        elif (refusal := self.crowd.come(guest, self.now_s)) is not None:
            guest.refuse(refusal)

    def _finish(self, guest: Guest) -> None:
        self.now_s += FINISH_S
        self.under_way -= 1
        self.served += 1
        self.seen[guest.team].answer_s.append((self.now_s, self.now_s - guest.came_s))
        if self.crowd.waiting:
            self.crowd.call()


def steady(per_second: float, seconds: float, team: Team = BLUE) -> Iterator[tuple[float, Team]]:
    return ((number / per_second, team) for number in range(int(per_second * seconds)))


def together(*streams: Iterator[tuple[float, Team]]) -> Iterator[tuple[float, Team]]:
    return heapq.merge(*streams)
