"""One deployment's circuit breaker. Pure: time and draws are passed in.

    closed ── five failures in a row, or half of at least twenty calls within ten seconds ──> open
    open ── a second later, then two, then every four: one call is let through ──> trying
    trying ── it fails ──> open; it succeeds ──> rising
    rising ── a failure ──> open; five seconds ──> closed, its share of calls having grown from a tenth to all

A call that is under way when the breaker opens ends as it ends: its failure does not open it again.
"""

from typing import Literal

State = Literal["closed", "open", "trying", "rising"]

_IN_A_ROW = 5
_ENOUGH, _SHARE, _WINDOW_S = 20, 0.5, 10.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 4.0  # so that full use is back within ten seconds of the deployment's return
_TRIAL_S = 30.0  # a call let through that has not ended by then counts for nothing, and another is let through
_RISE_S, _FIRST_SHARE = 5.0, 0.1


class Breaker:
    __slots__ = ("_calls", "_failures", "_in_a_row", "_older", "_pause_s", "_since", "_turned_at", "state")

    def __init__(self) -> None:
        self.state: State = "closed"
        self._since = 0.0  # when the state began
        self._pause_s = _FIRST_PAUSE_S
        self._in_a_row = 0
        self._calls = self._failures = 0  # of this half of the window
        self._older = (0, 0)  # calls and failures of the half before
        self._turned_at = 0.0

    def admits(self, now: float, draw: float) -> bool:
        """Whether a call may go there. `draw` in [0, 1) decides while it rises."""
        match self.state:
            case "closed":
                return True
            case "open":
                return now - self._since >= self._pause_s
            case "trying":
                return now - self._since >= _TRIAL_S
            case "rising":
                share = _FIRST_SHARE + (1 - _FIRST_SHARE) * (now - self._since) / _RISE_S
                return share >= 1 or draw < share

    def begin(self, now: float) -> None:
        """A call goes there."""
        if self.state in ("open", "trying") and self.admits(now, 0.0):
            self.state, self._since = "trying", now
        elif self.state == "rising" and now - self._since >= _RISE_S:
            self._close()

    def succeeded(self, now: float) -> None:
        if self.state == "trying":
            self.state, self._since = "rising", now
        self._count(now, failed=False)

    def failed(self, now: float) -> None:
        match self.state:
            case "closed":
                self._count(now, failed=True)
                if self._in_a_row >= _IN_A_ROW or self._fails_often():
                    self._open(now)
            case "trying" | "rising":
                self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
                self._open(now)
            case "open":
                pass

    @property
    def is_failing(self) -> bool:
        """Whether its next answer is more likely a failure: what further attempts there cost, they cost in vain."""
        return self.state in ("open", "trying") or self._in_a_row > 1 or self._fails_often()

    def _open(self, now: float) -> None:
        self.state, self._since = "open", now
        self._in_a_row = 0

    def _close(self) -> None:
        self.state = "closed"
        self._pause_s = _FIRST_PAUSE_S
        self._in_a_row = self._calls = self._failures = 0
        self._older = (0, 0)

    def _count(self, now: float, *, failed: bool) -> None:
        self._in_a_row = self._in_a_row + 1 if failed else 0
        if now - self._turned_at >= _WINDOW_S / 2:
            is_recent = now - self._turned_at < _WINDOW_S
            self._older = (self._calls, self._failures) if is_recent else (0, 0)
            self._calls = self._failures = 0
            self._turned_at = now
        self._calls += 1
        self._failures += failed

    def _fails_often(self) -> bool:
        calls, failures = self._calls + self._older[0], self._failures + self._older[1]
        return calls >= _ENOUGH and failures >= calls * _SHARE
