"""Who comes in, who waits and who is sent away, where not all can be served at once. Pure: times and counts are given.

While nothing is limited everybody comes in. Else each team waits in a line of its own and is let in by its weight;
patient requests (`class: batch`) behind all others. Nobody is made to wait who would wait in vain: who is next is
reckoned from how many are let in a second. At the beginning of a rush that may be long, since most rushes are over
soon; while more keep coming than are served, only so many wait as keep the gateway busy (the idea of CoDel's two
delays: Nichols, Jacobson, "Controlling Queue Delay", ACM Queue 2012).
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from polyroute.server.overload.limit import Limit
from polyroute.state.accounts.fair import FairQueue, Team

_RUSH_S = 0.25  # so long a rush may last before it is none
_SURPLUS = 1.05  # more than this share of what is served has to come for that
_FEW = 16  # that wait are no crowd
_MEMORY_S = 0.25
_LONGEST_S = 30.0  # that anybody is told to stay away
_AMPLE = 0.5  # of the room for bodies: up to there nobody asks how long one is


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the document says of it."""

    sheds: bool = True
    late_s: float = 0.005
    least: int = 64
    wait_s: float = 0.01  # while more come than are served
    burst_s: float = 2.0  # before that is known; nobody waits longer
    batch_s: float = 30.0  # those that are patient
    most_bytes: int = 512_000_000  # of bodies


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    retry_after_s: float
    is_own: bool = False  # others get what they ask for: it is the team's own share that is used up
    has_no_room: bool = False  # for its body


class Visitor(Protocol):
    """A request at the entrance. One of `enter` and `refuse` is called, once, unless it leaves before."""

    team: Team
    weight: int
    is_patient: bool
    is_inside: bool  # it is counted as under way while it waits
    waits: bool

    def enter(self) -> None: ...

    def refuse(self, refusal: Refusal) -> None: ...


class Crowd:
    """Of one process. `under_way` and `served` are asked; `look` is to be called every few turns of the loop."""

    def __init__(self, bounds: Bounds) -> None:
        self.is_calm = True  # everybody may come in without asking
        self.under_way: Callable[[], int] = lambda: 0
        self.served: Callable[[], int] = lambda: 0  # requests so far
        self.held_bytes = 0  # of bodies
        self.refused = 0  # so far
        self._lines: tuple[FairQueue[Visitor], FairQueue[Visitor]] = (FairQueue(), FairQueue())  # patient ones second
        self._dues: tuple[deque[tuple[float, Visitor]], ...] = (deque(), deque())
        self._inside = 0  # of those that wait
        self._since_s: float | None = None  # a limit was set
        self._looked_s: float | None = None
        self._came = self._entered = self._ended = 0
        self._came_rate = self._served_rate = self._entered_rate = self._ended_rate = 0.0
        self.follow(bounds)

    def follow(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.ample_bytes = bounds.most_bytes * _AMPLE
        self.limit = Limit(least=bounds.least, late_s=bounds.late_s)

    @property
    def waiting(self) -> int:
        return len(self._lines[0]) + len(self._lines[1])

    def come(self, visitor: Visitor, now_s: float) -> Refusal | None:
        """It enters, or waits; else why neither."""
        self._came += 1
        line, is_second = self._lines[visitor.is_patient], visitor.is_patient
        if not line and not (is_second and self._lines[0]) and self._has_room():
            self._entered += 1
            visitor.enter()
            return None
        bounds, is_rush = self.bounds, self._is_rush(now_s)
        patience_s = bounds.batch_s if is_second else bounds.wait_s if is_rush else bounds.burst_s
        if (len(line) >= _FEW or not patience_s) and self._wait_s(visitor, is_rush=is_rush) > patience_s:
            return self._turned_away(visitor)
        visitor.waits = True
        self._inside += visitor.is_inside
        line.push(visitor, visitor.team, visitor.weight)
        self._dues[is_second].append((now_s + (bounds.batch_s if is_second else bounds.burst_s), visitor))
        return None

    def leave(self, visitor: Visitor) -> None:
        """It waits no longer."""
        if visitor.waits:
            self._unwait(visitor)
            self._lines[visitor.is_patient].drop(visitor, visitor.team)

    def call(self) -> None:
        """Those next in line for whom there is room."""
        room = self.limit.requests - self._under_way()
        while room > 0 and (line := self._lines[0] or self._lines[1]):
            visitor, _ = line.pop()
            self._unwait(visitor)
            self._entered += 1
            room -= 1
            visitor.enter()

    def look(self, turn_s: float, now_s: float) -> None:
        """A turn of the loop took so long."""
        elapsed_s = now_s - self._looked_s if self._looked_s is not None else turn_s
        self._looked_s = now_s
        under_way = self._under_way()
        is_wanted = bool(self.waiting) or under_way >= self.limit.requests
        if self.bounds.sheds:
            self.limit = self.limit.after(turn_s, elapsed_s, under_way, is_wanted=is_wanted)
        elif self.limit.is_set:
            self.limit = Limit(least=self.bounds.least, late_s=self.bounds.late_s)
        if self.is_calm and not self.limit.is_set:
            return
        if self._since_s is None:
            self._begin(now_s)
        else:
            self._count(elapsed_s)
        self._send_away_overdue(now_s)
        self.call()
        self.is_calm = not self.limit.is_set and not self.waiting
        if self.is_calm:
            self._since_s = None

    def _begin(self, now_s: float) -> None:
        self._since_s = now_s
        self._came = self._entered = 0
        self._ended = self.served()
        self._came_rate = self._served_rate = self._entered_rate = self._ended_rate = 0.0

    def _count(self, elapsed_s: float) -> None:
        ended, weight = self.served(), 1 - math.exp(-elapsed_s / _MEMORY_S)
        elapsed_s = max(elapsed_s, 1e-6)
        self._came_rate += weight * (self._came / elapsed_s - self._came_rate)
        self._entered_rate += weight * (self._entered / elapsed_s - self._entered_rate)
        self._ended_rate += weight * ((ended - self._ended) / elapsed_s - self._ended_rate)
        self._served_rate = max(self._entered_rate, self._ended_rate)
        self._came, self._entered, self._ended = 0, 0, ended

    def _is_rush(self, now_s: float) -> bool:
        """More keep coming than are served."""
        if self._since_s is None or now_s - self._since_s < _RUSH_S:
            return False
        return self._came_rate > self._served_rate * _SURPLUS

    def _wait_s(self, visitor: Visitor, *, is_rush: bool) -> float:
        """Its team's turns until it would be let in, as things go; while nobody can say, not at all."""
        if self._served_rate < 1.0:
            return math.inf if is_rush else 0.0
        line = self._lines[visitor.is_patient]
        own = line.of(visitor.team)
        weights = line.weight_waiting() + (0 if own else visitor.weight)
        ahead = (own + 1) * weights / visitor.weight
        if visitor.is_patient:
            ahead += len(self._lines[0])
        return ahead / self._served_rate

    def _turned_away(self, visitor: Visitor) -> Refusal:
        """Who comes again finds room once as many seconds have passed as the crowd is times too large."""
        self.refused += 1
        times = self._came_rate / self._served_rate if self._served_rate >= 1.0 else 1.0
        is_own = self._lines[visitor.is_patient].serves_some()
        return Refusal(retry_after_s=min(max(times, 1.0), _LONGEST_S), is_own=is_own)

    def _send_away_overdue(self, now_s: float) -> None:
        for dues in self._dues:
            while dues and (dues[0][0] <= now_s or not dues[0][1].waits):
                _, visitor = dues.popleft()
                if visitor.waits:
                    self.leave(visitor)
                    visitor.refuse(self._turned_away(visitor))

    def _has_room(self) -> bool:
        return self._under_way() < self.limit.requests

    def _under_way(self) -> int:
        return self.under_way() - self._inside

    def _unwait(self, visitor: Visitor) -> None:
        visitor.waits = False
        self._inside -= visitor.is_inside
