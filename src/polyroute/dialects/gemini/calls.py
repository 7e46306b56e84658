"""Ids for tool calls that came without one: Gemini may leave them out, everyone else joins call and result by them.

Stable: the same answer, or the same conversation, gets the same ids whenever it is read. A result without an id
answers the oldest open call of its name, which is how Gemini itself joins them.
"""

from hashlib import sha256


class CallIds:
    """One per answer or conversation."""

    __slots__ = ("_calls", "_open", "_seed")

    def __init__(self, seed: str = "") -> None:
        """`seed` tells an answer from every other: its own id. A conversation's calls are told by their place."""
        self._seed = seed
        self._calls = 0
        self._open: list[tuple[str, str]] = []  # id and name of calls without a result

    def of_call(self, given: str | None, name: str) -> str:
        number = self._calls
        self._calls += 1
        call_id = given or self._made(number)
        self._open.append((call_id, name))
        return call_id

    def of_result(self, given: str | None, name: str) -> str:
        for place, (call_id, called) in enumerate(self._open):
            if call_id == given or (not given and called == name):
                return self._open.pop(place)[0]
        return given or f"call_{name}"

    def _made(self, number: int) -> str:
        if not self._seed:
            return f"call_{number}"
        return "call_" + sha256(f"{self._seed}/{number}".encode()).hexdigest()[:24]
