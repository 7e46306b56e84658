"""Counters, gauges and histograms as plain dictionaries: adding costs little; a form is made when one is asked for."""

from bisect import bisect_left
from collections import defaultdict

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

Labels = tuple[str, ...]

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Sums:
    """A counter or gauge: one figure per combination of labels."""

    def __init__(self, name: str, about: str, labels: Labels, *, is_gauge: bool = False) -> None:
        self.name, self.about, self.labels, self.is_gauge = name, about, labels, is_gauge
        self.figures: defaultdict[Labels, float] = defaultdict(float)

    def family(self) -> Metric:
        family = (GaugeMetricFamily if self.is_gauge else CounterMetricFamily)(
            self.name, self.about, labels=self.labels
        )
        for labels, figure in self.figures.items():
            family.add_metric(labels, figure)
        return family


class Buckets:
    """A histogram: how many observations fell under each bound, and their sum."""

    def __init__(self, name: str, about: str, labels: Labels, bounds: tuple[float, ...] = SECONDS, unit: str = "s"):
        self.name, self.about, self.labels, self.bounds, self.unit = name, about, labels, bounds, unit
        self.seen: dict[Labels, tuple[list[int], list[float]]] = {}  # counts, the last one beyond all bounds; the sum

    def observe(self, labels: Labels, amount: float) -> None:
        seen = self.seen.get(labels)
        if seen is None:
            seen = self.seen[labels] = ([0] * (len(self.bounds) + 1), [0.0])
        seen[0][bisect_left(self.bounds, amount)] += 1
        seen[1][0] += amount

    def family(self) -> Metric:
        family = HistogramMetricFamily(self.name, self.about, labels=self.labels)
        names = [*map(str, self.bounds), "+Inf"]
        for labels, (counts, total) in self.seen.items():
            running, buckets = 0, []
            for name, count in zip(names, counts, strict=True):
                running += count
                buckets.append((name, running))
            family.add_metric(labels, buckets, total[0])
        return family
