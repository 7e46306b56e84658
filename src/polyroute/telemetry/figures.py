"""Counters, gauges and histograms as plain dictionaries: adding costs little; a form is made when one is asked for.

Where several workers are one gateway, each keeps its figures in a slate (`keep`), and a form tells those of all.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from polyroute.telemetry.slate import Cells, Labels, Slate, Slates

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

# How the figures of several workers are one: all that was ever counted, also by workers that died (sum); what the
# living say, added up (now), the highest or the lowest of it; or what the one that is asked says, for all (own).
Across = Literal["sum", "now", "max", "min", "own"]
_MERGES: Mapping[Across, Callable[[float, float], float]] = {
    "sum": float.__add__,
    "now": float.__add__,
    "max": max,
    "min": min,
}
_WIPED = float("nan")


class _Kept(defaultdict[Labels, float]):
    """Written through to a slate."""

    def __init__(self, slate: Slate, name: str) -> None:
        super().__init__(float)
        self._slate = slate
        self._name = name
        self._cells: dict[Labels, Cells] = dict(slate.of(name))
        for labels, cells in self._cells.items():
            super().__setitem__(labels, cells[0])

    def __setitem__(self, labels: Labels, figure: float) -> None:
        super().__setitem__(labels, figure)
        cells = self._cells.get(labels)
        if cells is None:
            cells = self._cells[labels] = self._slate.cells(self._name, labels, 1)
        cells[0] = figure

    def clear(self) -> None:
        super().clear()
        for cells in self._cells.values():
            cells[0] = _WIPED


class Sums:
    """A counter or gauge: one figure per combination of labels."""

    def __init__(
        self, name: str, about: str, labels: Labels, *, is_gauge: bool = False, across: Across = "sum"
    ) -> None:
        self.name, self.about, self.labels, self.is_gauge = name, about, labels, is_gauge
        self.figures: defaultdict[Labels, float] = defaultdict(float)
        self._across = across
        self._slates: Slates | None = None

    def keep(self, slates: Slates) -> None:
        """From now on. What a worker that died said of a moment is wiped; what it counted goes on."""
        if self._across != "own":
            self._slates = slates
            self.figures = _Kept(slates.own, self.name)
            if self._across != "sum":
                self.figures.clear()

    def family(self) -> Metric:
        family = (GaugeMetricFamily if self.is_gauge else CounterMetricFamily)(
            self.name, self.about, labels=self.labels
        )
        for labels, figure in self._of_all().items():
            family.add_metric(labels, figure)
        return family

    def _of_all(self) -> Mapping[Labels, float]:
        if self._slates is None:
            return self.figures
        merge, found = _MERGES[self._across], dict[Labels, float]()
        for labels, cells in self._slates.of(self.name):
            found[labels] = merge(found[labels], cells[0]) if labels in found else cells[0]
        return found


class Buckets:
    """A histogram: how many observations fell under each bound, and their sum."""

    def __init__(self, name: str, about: str, labels: Labels, bounds: tuple[float, ...] = SECONDS, unit: str = "s"):
        self.name, self.about, self.labels, self.bounds, self.unit = name, about, labels, bounds, unit
        self.seen: dict[Labels, Cells] = {}  # counts, the last one beyond all bounds; then the sum
        self._slates: Slates | None = None

    def keep(self, slates: Slates) -> None:
        """From now on; what was counted there goes on."""
        self._slates = slates
        self.seen = {}

    def observe(self, labels: Labels, amount: float) -> None:
        seen = self.seen.get(labels)
        if seen is None:
            seen = self.seen[labels] = self._begin(labels)
        seen[bisect_left(self.bounds, amount)] += 1
        seen[-1] += amount

    def family(self) -> Metric:
        family = HistogramMetricFamily(self.name, self.about, labels=self.labels)
        names = [*map(str, self.bounds), "+Inf"]
        for labels, (*counts, total) in self._of_all().items():
            running, buckets = 0.0, []
            for name, count in zip(names, counts, strict=True):
                running += count
                buckets.append((name, running))
            family.add_metric(labels, buckets, total)
        return family

    def _begin(self, labels: Labels) -> Cells:
        size = len(self.bounds) + 2
        return [0.0] * size if self._slates is None else self._slates.own.cells(self.name, labels, size)

    def _of_all(self) -> Mapping[Labels, Iterable[float]]:
        if self._slates is None:
            return self.seen
        sums: dict[Labels, list[float]] = {}
        for labels, cells in self._slates.of(self.name):
            before = sums.get(labels)
            sums[labels] = list(cells) if before is None else [a + b for a, b in zip(before, cells, strict=True)]
        return sums
