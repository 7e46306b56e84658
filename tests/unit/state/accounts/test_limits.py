from hypothesis import given
from hypothesis import strategies as st

from polyroute.state.accounts.limits import SlidingWindow, Standing, Windows

GAPS = st.lists(st.floats(0, 20, allow_nan=False), max_size=120)


@given(st.integers(1, 12), GAPS)
def test_no_window_ever_holds_more_than_the_limit(limit: int, gaps: list[float]) -> None:
    window = SlidingWindow()
    admitted: list[float] = []
    now = 0.0
    for gap in gaps:
        now += gap
        if window.wait_s(1, limit, now) == 0:
            window.add(1, now)
            admitted.append(now)
    for start in admitted:
        assert sum(start <= time < start + 60 for time in admitted) <= limit


@given(st.integers(1, 500), st.lists(st.tuples(st.floats(0, 20, allow_nan=False), st.integers(0, 300)), max_size=80))
def test_waiting_as_told_is_enough_and_no_longer_than_the_window(limit: int, calls: list[tuple[float, int]]) -> None:
    window = SlidingWindow()
    now = 0.0
    for gap, amount in calls:
        now += gap
        wait_s = window.wait_s(amount, limit, now)
        if amount > limit:
            assert wait_s == float("inf") or amount == 0
            continue
        assert 0 <= wait_s <= 60
        now += wait_s + 1e-6
        assert window.wait_s(amount, limit, now) == 0
        window.add(amount, now)


def test_a_steady_stream_gets_all_of_its_limit() -> None:
    window = SlidingWindow()
    admitted = 0
    for tick in range(30_000):  # five minutes at 100 a second
        if window.wait_s(1, 600, tick / 100) == 0:
            window.add(1, tick / 100)
            admitted += 1
    assert admitted >= 5 * 600 * 0.99


def test_memory_is_bounded_whatever_the_limit() -> None:
    window = SlidingWindow()
    for tick in range(50_000):
        window.add(1, tick / 1000)
    assert len(window._entries) <= 1001


def test_an_estimate_is_corrected_while_it_counts_and_not_after() -> None:
    window = SlidingWindow()
    entry = window.add(100, 0.0)
    window.correct(entry, -60)
    assert window.standing(100, 1.0) == Standing(limit=100, remaining=60, reset_s=59.0)
    assert window.wait_s(100, 100, 60.0) == 0
    window.correct(entry, 1000)
    assert window.standing(100, 60.0) == Standing(limit=100, remaining=100, reset_s=0.0)


def test_idle_subjects_are_forgotten_and_busy_ones_kept() -> None:
    windows = Windows()
    for number in range(1000):
        windows.of((str(number),), 0.0)
    busy = windows.of(("busy",), 0.0)
    for second in range(1, 200):
        assert windows.of(("busy",), float(second)) is busy
    assert len(windows) == 1
