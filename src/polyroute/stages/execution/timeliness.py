"""Whether another attempt is worth starting in the time that is left. Pure.

A deployment that usually takes longer to its first token than the request has left is passed over for one that does
not, and where there is none the request ends at once: whoever waits learns of it earlier, and nothing is spent in
vain. The first attempt is always made, and one of unknown speed may be worth it.
"""

from collections.abc import Collection

from polyroute.types.routing import Step


def in_time(steps: tuple[Step, ...], wanted: int, tried: Collection[int], left_s: float) -> int | None:
    """`wanted`, or the next step after it that has not been tried and is fast enough; None where none is."""
    if _is_fast_enough(steps[wanted], left_s):
        return wanted
    later = range(wanted + 1, len(steps))
    return next((step for step in later if step not in tried and _is_fast_enough(steps[step], left_s)), None)


def _is_fast_enough(step: Step, left_s: float) -> bool:
    latency_ms = step.candidate.latency_ms
    return latency_ms is None or latency_ms / 1000 <= left_s
