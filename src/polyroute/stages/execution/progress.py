"""What to try next, given a plan and what happened so far. Pure.

A rejected answer escalates, and so does a failure that only a switch can cure; a transient failure is retried after a
pause that doubles. Who asks to be left alone for a while (429, Retry-After) is left at once for the next deployment,
if that is well; else it is waited for. It is come back to where all others have failed. Nobody waits longer than
MAX_PAUSE_S while another deployment stands by, nor past the request's own deadline.
"""

from collections.abc import Callable
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
    wants_rest: bool = False  # it answered 429, or said when to come back
    ended_s: float = 0.0  # monotonic


class Try(Struct, frozen=True, kw_only=True):
    step: int
    pause_s: float = 0.0


class Accept(Struct, frozen=True, kw_only=True):
    pass


class GiveUp(Struct, frozen=True, kw_only=True):
    out_of_time: bool = False


Decision: TypeAlias = Try | Accept | GiveUp


def decide(
    steps: tuple[Step, ...],
    outcomes: tuple[Outcome, ...],
    *,
    time_left_s: float,
    now_s: float = 0.0,
    is_well: Callable[[Step], bool] = lambda step: True,
) -> Decision:
    """The next move. `now_s`: monotonic, as `ended_s` is. `is_well`: whether a step's deployment is, now."""
    if time_left_s < USEFUL_S and not (outcomes and outcomes[-1].accepted):
        return GiveUp(out_of_time=True)
    if not outcomes:
        return Try(step=0) if steps else GiveUp()
    last = outcomes[-1]
    if last.accepted:
        return Accept()
    if last.remedy is Remedy.STOP:
        return GiveUp()
    tried = {outcome.step for outcome in outcomes}
    next_step = next((step for step in range(last.step + 1, len(steps)) if step not in tried), None)
    if last.wants_rest and next_step is not None and is_well(steps[next_step]):
        return Try(step=next_step)
    tries = sum(outcome.step == last.step for outcome in outcomes)
    if last.remedy is Remedy.RETRY and tries < steps[last.step].max_tries:
        pause_s = max(BASE_PAUSE_S * 2.0 ** (tries - 1), last.retry_after_s or 0.0)
        if _may_wait(pause_s, MAX_LONE_PAUSE_S if next_step is None else MAX_PAUSE_S, time_left_s):
            return Try(step=last.step, pause_s=pause_s)
    if next_step is not None:
        return Try(step=next_step)
    return _back_to_rested(steps, outcomes, time_left_s, now_s) or GiveUp()


def _back_to_rested(
    steps: tuple[Step, ...], outcomes: tuple[Outcome, ...], time_left_s: float, now_s: float
) -> Try | None:
    """The step that was left alone as it asked, and has tries left: the one whose rest is over first."""
    newest = {outcome.step: outcome for outcome in outcomes}
    rested = [
        (max(0.0, (outcome.retry_after_s or BASE_PAUSE_S) - (now_s - outcome.ended_s)), step)
        for step, outcome in newest.items()
        if outcome.wants_rest and sum(one.step == step for one in outcomes) < steps[step].max_tries
    ]
    if not rested:
        return None
    pause_s, step = min(rested)
    return Try(step=step, pause_s=pause_s) if _may_wait(pause_s, MAX_LONE_PAUSE_S, time_left_s) else None


def _may_wait(pause_s: float, longest_s: float, time_left_s: float) -> bool:
    return pause_s <= longest_s and pause_s * (1 + MAX_JITTER) < time_left_s
