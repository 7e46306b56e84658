"""Who is next where there is not enough for all: each team in proportion to its weight, in its own order. Pure.

Fair queueing by virtual time, one request costing 1/weight: the team that has had least goes first, and one that comes
back from doing nothing begins where the others are, so that nobody saves up or falls behind.
Source: Goyal, Vin, Cheng, "Start-time Fair Queuing", SIGCOMM 1996, with the tag given when a request is served, so that
one that leaves unserved costs its team nothing.
"""

from collections import deque
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

_T = TypeVar("_T")
Team = tuple[str, str]  # tenant and name


class _Line(Generic[_T]):
    __slots__ = ("had", "items", "number", "weight")

    def __init__(self, number: int, had: float) -> None:
        self.number = number  # who came first, where two have had the same
        self.items: deque[_T] = deque()
        self.weight = 1
        self.had = had  # virtual time of its next request


class FairQueue(Generic[_T]):
    """What is next is found in a heap, so that many teams cost no more than a few."""

    def __init__(self) -> None:
        self._lines: dict[Team, _Line[_T]] = {}  # of teams that wait, or waited since the queue was last empty
        self._heap: list[tuple[float, int, Team, _Line[_T]]] = []  # by virtual time; an entry may be out of date
        self._now = 0.0  # virtual time
        self._waiting = 0
        self._weight = 0  # of all teams that wait
        self._teams = 0  # that wait

    def __len__(self) -> int:
        return self._waiting

    def of(self, team: Team) -> int:
        """How many of its requests wait."""
        line = self._lines.get(team)
        return 0 if line is None else len(line.items)

    def weight_waiting(self) -> int:
        """Of all teams that wait together."""
        return self._weight

    def serves_some(self) -> bool:
        """Whether a team that came lately has nobody waiting, while others have."""
        return 0 < self._teams < len(self._lines)

    def push(self, item: _T, team: Team, weight: int) -> None:
        line = self._line(team)
        if line.items:
            self._weight += weight - line.weight
        else:
            line.had = max(line.had, self._now)
            self._begin(team, line, weight)
        line.weight = weight
        line.items.append(item)
        self._waiting += 1

    def pop(self) -> tuple[_T, Team]:
        """The next request; there must be one."""
        while True:
            had, _, team, line = heappop(self._heap)
            if line.items and had == line.had:
                break
        self._now = had
        line.had += 1 / line.weight
        item = line.items.popleft()
        self._waiting -= 1
        if line.items:
            heappush(self._heap, (line.had, line.number, team, line))
        else:
            self._end(line)
        return item, team

    def put_back(self, item: _T, team: Team) -> None:
        """It was called and found no room: it stays its team's first, and its turn was none."""
        line = self._line(team)
        line.had -= 1 / line.weight
        if line.items:
            heappush(self._heap, (line.had, line.number, team, line))
        else:
            self._begin(team, line, line.weight)
        line.items.appendleft(item)
        self._waiting += 1

    def drop(self, item: _T, team: Team) -> None:
        """It waits no longer."""
        line = self._lines.get(team)
        if line is not None and item in line.items:
            line.items.remove(item)
            self._waiting -= 1
            if not line.items:
                self._end(line)
        if not self._waiting:
            self._lines.clear()
            self._heap.clear()

    def _line(self, team: Team) -> _Line[_T]:
        line = self._lines.get(team)
        if line is None:
            line = self._lines[team] = _Line(len(self._lines), self._now)
        return line

    def _begin(self, team: Team, line: _Line[_T], weight: int) -> None:
        self._teams += 1
        self._weight += weight
        heappush(self._heap, (line.had, line.number, team, line))
        if len(self._heap) > 64 + 2 * len(self._lines):  # of lines that ended without being served
            self._heap = [entry for entry in self._heap if entry[3].had == entry[0]]
            heapify(self._heap)

    def _end(self, line: _Line[_T]) -> None:
        self._teams -= 1
        self._weight -= line.weight
