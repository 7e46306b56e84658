from collections.abc import Callable

import pytest

from polyroute.server.keepalive import KeepAlive, mark_of
from polyroute.wiring.dialects import DIALECTS


class Timer:
    def __init__(self, at_s: float, work: Callable[[], None]) -> None:
        self.at_s = at_s
        self.work = work
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class Clock:
    """Timers that run when they are told to."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._timers: list[Timer] = []

    def call_later(self, delay_s: float, work: Callable[[], None]) -> Timer:
        self._timers.append(Timer(self.now_s + delay_s, work))
        return self._timers[-1]

    def pass_to(self, now_s: float) -> None:
        while due := [timer for timer in self._timers if timer.at_s <= now_s and not timer.is_cancelled]:
            first = min(due, key=lambda timer: timer.at_s)
            self._timers.remove(first)
            self.now_s = first.at_s
            first.work()
        self.now_s = now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_long_silence_is_filled_and_a_short_one_is_not(clock: Clock) -> None:
    told: list[float] = []

    def write(data: bytes) -> bool:
        told.append(clock.now_s)
        return True

    pulse = KeepAlive(b": keep-alive\n\n", 10.0, write, clock.call_later)
    for second in range(1, 20):
        clock.pass_to(second)
        pulse.is_quiet = False
    assert told == []
    clock.pass_to(45)
    assert told == [25.0, 30.0, 35.0, 40.0, 45.0]
    pulse.stop()
    clock.pass_to(99)
    assert len(told) == 5


def test_where_nothing_can_be_said_no_timer_runs(clock: Clock) -> None:
    KeepAlive(b"", 10.0, lambda data: pytest.fail("there is nothing to write"), clock.call_later).stop()
    clock.pass_to(100)


def test_each_dialect_fills_silence_in_its_own_way() -> None:
    assert mark_of(DIALECTS["openai_chat"]) == b": keep-alive\n\n"
    assert mark_of(DIALECTS["anthropic_messages"]) == b'event: ping\ndata: {"type": "ping"}\n\n'
    assert mark_of(DIALECTS["gemini"]) == b": keep-alive\n\n"
    assert mark_of(DIALECTS["bedrock_converse"]) == b""
