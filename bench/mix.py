"""What the soak's callers ask for: kinds of requests, how often each, and what may come back. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from bench.traffic import Door

CALLERS = 64
KEY_REFUSED = "sk-wrong"


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One way to ask. `shape` says how the upstream behaves (upstream.c)."""

    name: str
    door: Door
    model: str = "bench"
    shape: str = ""
    stream: bool = False
    is_refused: bool = False  # a wrong key: nothing is booked, nothing reaches the upstream
    may_fail: bool = False  # errors of every kind, and streams that end in one
    leaves: bool = False  # the caller goes away: at a random byte of request or answer, or while waiting


@dataclass(frozen=True, kw_only=True, slots=True)
class Mix:
    """Kinds with their weights."""

    name: str
    kinds: tuple[tuple[Kind, int], ...]

    def draws(self, random: Random) -> Kind:
        kinds, weights = [kind for kind, _ in self.kinds], [weight for _, weight in self.kinds]
        return random.choices(kinds, weights)[0]

    @property
    def shapes(self) -> Sequence[str]:
        return list(dict.fromkeys(kind.shape for kind, _ in self.kinds))

    @property
    def troubled_share(self) -> float:
        """Of the requests, those that fail, may fail or are left (0..1)."""
        troubled = sum(weight for kind, weight in self.kinds if kind.is_refused or kind.may_fail or kind.leaves)
        return troubled / sum(weight for _, weight in self.kinds)


_WELL = (
    Kind(name="chat", door="chat"),
    Kind(name="messages", door="messages", model="bench-messages"),
    Kind(name="translated", door="chat", model="bench-messages", shape="-d20"),
    Kind(name="chat stream", door="chat", shape="-g1", stream=True),
    Kind(name="messages stream", door="messages", model="bench-messages", shape="-g1", stream=True),
    Kind(name="translated stream", door="messages", stream=True),
)
_TROUBLED = (
    Kind(name="wrong key", door="chat", is_refused=True),
    Kind(name="failing", door="chat", shape="-f60", may_fail=True),
    Kind(name="failing stream", door="messages", model="bench-messages", shape="-f60", stream=True, may_fail=True),
    Kind(name="cut stream", door="chat", shape="-c50", stream=True, may_fail=True),
    Kind(name="left", door="messages", model="bench-messages", shape="-d20", leaves=True),
    Kind(name="left stream", door="chat", shape="-g1", stream=True, leaves=True),
)

MIXES = {
    "mixed": Mix(
        name="mixed",
        kinds=tuple(zip(_WELL + _TROUBLED, (32, 14, 10, 14, 6, 4, 2, 3, 2, 3, 4, 6), strict=True)),
    ),
    "failing": Mix(
        name="failing",
        kinds=tuple(zip(_WELL + _TROUBLED, (8, 3, 3, 3, 2, 1, 10, 15, 10, 15, 15, 15), strict=True)),
    ),
}
"""`failing` is the same with 80 % in trouble: leaks like to live where things fail."""
