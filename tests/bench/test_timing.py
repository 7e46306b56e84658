"""How the loops of the pieces grow, and what they count."""

import pytest
from bench.timing import ROUND_S, ROUNDS, next_size, timed, timed_awaits


@pytest.mark.parametrize(
    ("calls", "taken_s", "expected"),
    [
        pytest.param(1, ROUND_S / 1000, 1000, id="as many as fill the round"),
        pytest.param(900, ROUND_S * 0.9, 1800, id="at least twice as many"),
        pytest.param(1, 0.0, int(ROUND_S / 1e-9), id="a clock that did not move"),
    ],
)
def test_next_size(calls: int, taken_s: float, expected: int) -> None:
    assert next_size(calls, taken_s) == pytest.approx(expected, abs=1)


def test_every_counted_call_was_made() -> None:
    made: list[None] = []
    found = timed("append", lambda: made.append(None))
    assert len(made) >= found.calls
    assert len(found.rounds_ns) == ROUNDS


async def test_calls_in_flight_together_are_all_counted() -> None:
    made: list[None] = []

    async def append() -> None:
        made.append(None)

    found = await timed_awaits("append", append, together=4)
    assert len(made) >= found.calls
    assert found.calls % (4 * ROUNDS) == 0
