"""What to try next, given a plan and what happened so far. Pure.

A rejected answer escalates, and so does a failure that only a switch can cure; a transient failure is retried after a
pause that doubles, or after what the provider asked for. Nobody waits longer than MAX_PAUSE_S while another
deployment stands by, nor past the request's own deadline.
"""

from typing import TypeAlias

from msgspec import Struct

from polyroute.errors import Remedy
from polyroute.types.routing import Step

BASE_PAUSE_S = 0.25
MAX_PAUSE_S = 2.0
USEFUL_S = 0.01  # no attempt answers in less; a timer may also fire that much early
MAX_LONE_PAUSE_S = 10.0  # where no other deployment is left to ask
MAX_JITTER = 0.25  # share of a pause that may be added, so that callers do not come back all at once


class Outcome(Struct, frozen=True, kw_only=True):
    """An ended attempt, as far as the next move depends on it."""

    step: int
    accepted: bool = False
    remedy: Remedy = Remedy.SWITCH  # of a failure or a rejection
    retry_after_s: float | None = None  # asked for by the provider


class Try(Struct, frozen=True, kw_only=True):
    step: int
    pause_s: float = 0.0


class Accept(Struct, frozen=True, kw_only=True):
    pass


class GiveUp(Struct, frozen=True, kw_only=True):
    out_of_time: bool = False


Decision: TypeAlias = Try | Accept | GiveUp


def decide(steps: tuple[Step, ...], outcomes: tuple[Outcome, ...], *, time_left_s: float) -> Decision:
    """The next move."""
    if time_left_s < USEFUL_S and not (outcomes and outcomes[-1].accepted):
        return GiveUp(out_of_time=True)
    if not outcomes:
        return Try(step=0) if steps else GiveUp()
    last = outcomes[-1]
    if last.accepted:
        return Accept()
    if last.remedy is Remedy.STOP:
        return GiveUp()
    others = last.step + 1 < len(steps)
    tries = sum(outcome.step == last.step for outcome in outcomes)
    if last.remedy is Remedy.RETRY and tries < steps[last.step].max_tries:
        pause_s = max(BASE_PAUSE_S * 2.0 ** (tries - 1), last.retry_after_s or 0.0)
        longest_s = MAX_PAUSE_S if others else MAX_LONE_PAUSE_S
        if pause_s <= longest_s and pause_s * (1 + MAX_JITTER) < time_left_s:
            return Try(step=last.step, pause_s=pause_s)
    return Try(step=last.step + 1) if others else GiveUp()
