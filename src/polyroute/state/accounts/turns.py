"""Requests waiting for room under a limit that all teams share, and the calling of the next one. One process's.

Whoever is called tries to take its place; where it has found room the next is called, else it waits on as the first.
Nobody is called twice at once. Who comes while others wait goes behind them.
"""

import asyncio
from collections.abc import Iterable

from polyroute.errors import RateLimited
from polyroute.ports import Monotonic
from polyroute.state.accounts.allowances import Waiting
from polyroute.state.accounts.budgets import Account
from polyroute.state.accounts.fair import FairQueue, Team

_LOOK_S = 0.05  # how often it is tried where nobody tells of room: other replicas' requests, and rates
_MEMORY = 0.2  # how much the newest pause between two calls counts


class Turn:
    """One request in the line of one limit."""

    __slots__ = ("called", "line", "team")

    def __init__(self, line: "Line", team: Team) -> None:
        self.line = line
        self.team = team
        self.called: asyncio.Future[None] | None = None


class Line:
    """Of one limit."""

    def __init__(self, monotonic: Monotonic) -> None:
        self.queue: FairQueue[Turn] = FairQueue()
        self.is_called = False  # whoever was called has not tried yet
        self._monotonic = monotonic
        self._timer: asyncio.TimerHandle | None = None
        self._last_s: float | None = None
        self._pause_s = 1.0  # between two requests that found room, lately

    @property
    def is_idle(self) -> bool:
        return not self.queue and not self.is_called

    def call(self) -> None:
        """The next one, unless somebody is called already."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self.queue and not self.is_called:
            turn, _ = self.queue.pop()
            if turn.called is not None and not turn.called.done():  # else its caller is leaving
                turn.called.set_result(None)
                self.is_called = True

    def served(self) -> None:
        now = self._monotonic()
        if self._last_s is not None:
            self._pause_s += _MEMORY * (now - self._last_s - self._pause_s)
        self._last_s = now
        self.is_called = False
        self.call()

    def try_later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LOOK_S, self.call)

    def wait_s(self, team: Team, weight: int) -> float:
        """Until a further request of the team would be served, as things go."""
        share = weight / max(self.queue.weight_waiting(), weight)
        return (self.queue.of(team) + 1) * self._pause_s / share


class Turns:
    def __init__(self, monotonic: Monotonic) -> None:
        self._monotonic = monotonic
        self._lines: dict[Account, Line] = {}

    def blocked(self, subjects: Iterable[Account], turn: Turn | None) -> Account | None:
        """The first limit where others wait; None also where nobody waits anywhere."""
        if not self._lines:
            return None
        for subject in subjects:
            line = self._lines.get(subject)
            if line is not None and (turn is None or turn.line is not line) and not line.is_idle:
                return subject
        return None

    def freed(self, subjects: Iterable[Account]) -> None:
        """There may be room again."""
        if self._lines:
            for subject in subjects:
                line = self._lines.get(subject)
                if line is not None:
                    line.call()

    async def wait(
        self,
        refused: RateLimited,
        team: Team,
        weight: int,
        turn: Turn | None,
        waiting: Waiting,
        until_s: float,
    ) -> Turn:
        """The turn, once it has come; `turn`: the one that found no room. Raises RateLimited where the line is full, or
        the request's time is over before.
        """
        subject = refused.subject
        line = self._lines.get(subject)
        if line is None:
            line = self._lines[subject] = Line(self._monotonic)
        again = turn is not None and turn.line is line
        if turn is not None and not again:
            self.done(turn, served=False)
        if turn is None or not again:
            wait_s = line.wait_s(team, weight)
            if line.queue.of(team) >= waiting.per_team or self._monotonic() >= until_s:
                raise self._full(refused, wait_s)
            turn = Turn(line, team)
        turn.called = asyncio.get_running_loop().create_future()
        if again:
            line.is_called = False
            line.queue.put_back(turn, team)
        else:
            line.queue.push(turn, team, weight)
        line.try_later()
        try:
            async with asyncio.timeout(max(until_s - self._monotonic(), 0)):
                await turn.called
        except BaseException as exc:
            self._leave(line, turn)
            if isinstance(exc, TimeoutError):
                raise self._full(refused, line.wait_s(team, weight)) from None
            raise
        return turn

    def done(self, turn: Turn, *, served: bool) -> None:
        """The one that was called has its place, or wants none any more."""
        line = turn.line
        if served:
            line.served()
        else:
            line.is_called = False
            line.call()
        self._forget()

    def _leave(self, line: Line, turn: Turn) -> None:
        if turn.called is not None and turn.called.done() and not turn.called.cancelled():
            self.done(turn, served=False)
            return
        line.queue.drop(turn, turn.team)
        self._forget()

    def _forget(self) -> None:
        for subject in [subject for subject, line in self._lines.items() if line.is_idle]:
            del self._lines[subject]

    @staticmethod
    def _full(refused: RateLimited, wait_s: float) -> RateLimited:
        return RateLimited(
            f"{refused.message}; too many requests of this team wait already",
            limit=refused.limit,
            retry_after_s=min(max(wait_s, refused.retry_after_s, 1.0), 60.0),
            elsewhere=True,
            subject=refused.subject,
        )
