"""Who is next where there is not enough for all: each team in proportion to its weight, in its own order. Pure.

Fair queueing by virtual time, one request costing 1/weight: the team that has had least goes first, and one that comes
back from doing nothing begins where the others are, so that nobody saves up or falls behind.
Source: Goyal, Vin, Cheng, "Start-time Fair Queuing", SIGCOMM 1996, with the tag given when a request is served, so that
one that leaves unserved costs its team nothing.
"""

from collections import deque
from typing import Generic, TypeVar

_T = TypeVar("_T")
Team = tuple[str, str]  # tenant and name


class _Line(Generic[_T]):
    __slots__ = ("had", "items", "weight")

    def __init__(self, had: float) -> None:
        self.items: deque[_T] = deque()
        self.weight = 1
        self.had = had  # virtual time of its next request


class FairQueue(Generic[_T]):
    def __init__(self) -> None:
        self._lines: dict[Team, _Line[_T]] = {}  # of teams that wait, or waited since the queue was last empty
        self._now = 0.0  # virtual time
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def of(self, team: Team) -> int:
        """How many of its requests wait."""
        line = self._lines.get(team)
        return 0 if line is None else len(line.items)

    def weight_waiting(self) -> int:
        """Of all teams that wait together."""
        return sum(line.weight for line in self._lines.values() if line.items)

    def push(self, item: _T, team: Team, weight: int) -> None:
        line = self._line(team)
        if not line.items:
            line.had = max(line.had, self._now)
        line.weight = weight
        line.items.append(item)
        self._waiting += 1

    def pop(self) -> tuple[_T, Team]:
        """The next request; there must be one."""
        team, line = min(((team, line) for team, line in self._lines.items() if line.items), key=lambda it: it[1].had)
        self._now = line.had
        line.had += 1 / line.weight
        self._waiting -= 1
        return line.items.popleft(), team

    def put_back(self, item: _T, team: Team) -> None:
        """It was called and found no room: it stays its team's first, and its turn was none."""
        line = self._line(team)
        line.had -= 1 / line.weight
        line.items.appendleft(item)
        self._waiting += 1

    def drop(self, item: _T, team: Team) -> None:
        """It waits no longer."""
        line = self._lines.get(team)
        if line is not None and item in line.items:
            line.items.remove(item)
            self._waiting -= 1
        if not self._waiting:
            self._lines.clear()

    def _line(self, team: Team) -> _Line[_T]:
        line = self._lines.get(team)
        if line is None:
            line = self._lines[team] = _Line(self._now)
        return line
