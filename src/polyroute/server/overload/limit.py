"""How many requests may be under way in one process, found from how long its event loop takes to come round. Pure.

Everything that any request needs of the gateway waits for the loop's turn. So a turn grows where more comes than one
core can do, and does not where a provider is slow: a thousand requests that wait for an answer cost no turn anything.
Without lateness there is no limit. Where turns stay late it shrinks by how late they are; while somebody waits and
they are not, it grows; once nobody has waited for a while, it is gone.
Source: the gradient of Netflix' concurrency-limits (2018), with our own delay in place of the whole latency; the
factors are the classic additive-increase argument's, taken per turn since its answer is here at once.
"""

import math
from dataclasses import dataclass, replace
from typing import Self

_MEMORY_S = 0.1  # a single long turn (a collection, a large document) is no overload
_STEEPEST = 0.8  # at once
_GROWTH = 1.05
_CALM_S = 1.0
_NONE = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    least: int  # never fewer; and while no more are under way nothing is limited
    late_s: float  # a turn that takes longer is late
    requests: float = _NONE
    mean_s: float = 0.0  # of turns, lately
    calm_s: float = 0.0  # for how long nobody has waited

    @property
    def is_set(self) -> bool:
        return self.requests != _NONE

    def after(self, turn_s: float, elapsed_s: float, under_way: int, *, is_wanted: bool) -> Self:
        """Now that a turn took `turn_s`, `elapsed_s` after the last one that was told; `is_wanted`: somebody waits."""
        mean_s = self.mean_s + (turn_s - self.mean_s) * (1 - math.exp(-elapsed_s / _MEMORY_S))
        if turn_s > self.late_s and mean_s > self.late_s:
            if under_way <= self.least and not self.is_set:
                return replace(self, mean_s=mean_s)
            fewer = min(self.requests, under_way) * max(self.late_s / mean_s, _STEEPEST)
            return replace(self, mean_s=mean_s, requests=max(fewer, self.least), calm_s=0.0)
        if not self.is_set:
            return replace(self, mean_s=mean_s)
        if is_wanted:
            more = self.requests * _GROWTH + 1 if turn_s <= self.late_s else self.requests
            return replace(self, mean_s=mean_s, requests=more, calm_s=0.0)
        calm_s = self.calm_s + elapsed_s
        return replace(self, mean_s=mean_s, calm_s=calm_s, requests=_NONE if calm_s >= _CALM_S else self.requests)
