"""What replicas ask of counters that they share. Subjects, tallies and windows are names; money is nano-dollars."""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct


class RateAsk(NamedTuple):
    """Leave under one rate limit."""

    subject: str
    limit: int
    amount: int


class RateLeave(Struct, frozen=True):
    """Counted in every window, or in none."""

    grain: int | None  # where in time it counts; None: refused
    refusing: int  # which limit, from 0; of no meaning where it was counted
    wait_s: float  # until it would fit; infinite where it never can
    totals: list[int]  # of each window
    resets_s: list[float]  # until each would be empty


class BudgetAsk(NamedTuple):
    """Room in one budget."""

    tally: str
    limit: int
    window: str


class BudgetLeave(Struct, frozen=True):
    """Held in every budget, or in none."""

    short: int | None  # which has no room, from 0; None: held
    settled: list[int]  # of each, by all replicas; up to the one that is short where one is
    held: list[int]  # with the new hold


class Sum(NamedTuple):
    """Of one tally, by all replicas."""

    settled: int
    held: int


class Heard(Struct, frozen=True):
    """How it stands with all replicas."""

    spent: Mapping[str, Sum]  # by tally
    admitted: Mapping[str, int]  # by subject, in its window


class Standing(NamedTuple):
    """What one replica holds and has spent in one tally."""

    tally: str
    held: int
    settled: int
    keep_s: int  # the tally matters no longer than this


class Counted(NamedTuple):
    """What was admitted in one moment."""

    subject: str
    grain: int
    amount: int


class Booked(NamedTuple):
    """What the books say that a process has spent in one tally."""

    tally: str
    replica: str
    settled: int
    keep_s: int


class Forgotten(Exception):
    """The shared store has lost this replica, or everything: join anew."""
