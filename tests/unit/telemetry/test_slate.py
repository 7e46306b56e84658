"""Figures of several workers are one, whoever is asked and whoever dies."""

from mmap import mmap

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.core import Metric

from polyroute.telemetry.figures import Across, Buckets, Sums
from polyroute.telemetry.slate import Slate, Slates


def memories(count: int, size: int = 1 << 16) -> list[mmap]:
    return [mmap(-1, size) for _ in range(count)]


def samples(family: Metric) -> dict[tuple[str, ...], float]:
    return {(s.name, *s.labels.values()): s.value for s in family.samples if not s.name.endswith("_created")}


@given(st.lists(st.tuples(st.text(max_size=12), st.integers(1, 4)), unique_by=lambda entry: entry[0], max_size=40))
def test_what_was_written_is_read_by_any_other(entries: list[tuple[str, int]]) -> None:
    (memory,) = memories(1)
    writer, reader = Slate(memory), Slate(memory)
    for number, (label, count) in enumerate(entries):
        cells = writer.cells("figure", (label, "é"), count)
        cells[count - 1] = number + 0.5
        assert reader.of("figure")[label, "é"][count - 1] == number + 0.5
    assert set(Slate(memory).of("figure")) == {(label, "é") for label, _ in entries}
    assert reader.of("other") == {}


def test_what_has_no_room_is_counted_where_nobody_sees_it() -> None:
    (memory,) = memories(1, 4096)
    slate = Slate(memory)
    for number in range(200):
        slate.cells("figure", (str(number), "x" * 40), 1)[0] += 1
    assert 20 < len(slate.of("figure")) < 200
    assert slate.cells("figure", ("0", "x" * 40), 1)[0] == 1


@pytest.mark.parametrize(
    ("across", "said", "after"),
    [("sum", 5.0, 8.0), ("now", 5.0, 6.0), ("max", 3.0, 4.0), ("min", 2.0, 2.0), ("own", 2.0, 2.0)],
)
def test_a_figure_of_two_workers_and_of_a_successor(across: Across, said: float, after: float) -> None:
    shared = memories(2)

    def worker(number: int) -> Sums:
        figure = Sums("level", "", ("of",), is_gauge=True, across=across)
        figure.keep(Slates(shared, number))
        return figure

    one, other = worker(0), worker(1)
    one.figures["a",] = 2.0
    other.figures["a",] = 3.0
    assert samples(one.family()) == {("level", "a"): said}
    successor = worker(1)
    successor.figures["a",] += 4.0 if across != "sum" else 3.0
    assert samples(one.family()) == {("level", "a"): after}


def test_a_histogram_of_two_workers_goes_on_with_a_successor() -> None:
    shared = memories(2)

    def worker(number: int) -> Buckets:
        figure = Buckets("took", "", ("of",), (1.0, 2.0))
        figure.keep(Slates(shared, number))
        return figure

    one, other = worker(0), worker(1)
    one.observe(("a",), 0.5)
    other.observe(("a",), 1.5)
    worker(1).observe(("a",), 9.0)
    told = samples(one.family())
    assert told["took_count", "a"] == 3
    assert told["took_sum", "a"] == 11.0
    assert [told["took_bucket", "a", bound] for bound in ("1.0", "2.0", "+Inf")] == [1, 2, 3]
