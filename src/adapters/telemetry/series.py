"""Numbers that a scrape reads: counters, gauges and histograms as plain Python values.

They are handed to prometheus-client as metric families when somebody asks, so that counting costs a
dictionary look-up and no lock, a call of 500 entries fills a histogram at once, and no `_created`
series double what is shown. For the event loop's thread alone, which also answers scrapes.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from prometheus_client import Metric
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

MAX_LABEL_VALUES = 64
"""Series per counter; what is above is counted as `other`."""

OTHER = "other"


class Counter:
    """Counts that only grow, one per value of the label, or a single one without a label."""

    def __init__(self, name: str, meaning: str, label: str | None = None) -> None:
        self._name = name
        self._meaning = meaning
        self._label = label
        self._counts: dict[str, int] = {} if label else {"": 0}

    def add(self, count: int, value: str = "") -> None:
        """Add `count` to the series of the label's `value`."""
        counts = self._counts
        if value not in counts and len(counts) >= MAX_LABEL_VALUES:
            value = OTHER
        counts[value] = counts.get(value, 0) + count

    def family(self) -> Metric:
        """What a scrape shows."""
        family = CounterMetricFamily(self._name, self._meaning, labels=[self._label] if self._label else [])
        for value, count in self._counts.items():
            family.add_metric([value] if self._label else [], count)
        return family


class Gauge:
    """Values that come and go, one per set of labels."""

    def __init__(self, name: str, meaning: str, labels: Sequence[str] = ()) -> None:
        self._name = name
        self._meaning = meaning
        self._labels = labels
        self._values: dict[tuple[str, ...], float] = {}

    def set(self, value: float, *labels: str) -> None:
        """Show `value` for these labels."""
        self._values[labels] = value

    def forget(self, *labels: str) -> None:
        """Show nothing for these labels any more."""
        self._values.pop(labels, None)

    def family(self) -> Metric:
        """What a scrape shows."""
        family = GaugeMetricFamily(self._name, self._meaning, labels=self._labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        return family


class Histogram:
    """How many observations fell below each of `bounds` (ascending, inclusive), and their sum."""

    def __init__(self, name: str, meaning: str, bounds: Sequence[float]) -> None:
        self._name = name
        self._meaning = meaning
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Take one observation."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def observe_many(self, values: Sequence[float]) -> None:
        """Take all of `values`: sorted once, then one search per bound instead of one per value."""
        ordered = sorted(values)
        below = 0
        for index, bound in enumerate(self._bounds):
            upto = bisect_right(ordered, bound, below)
            self._counts[index] += upto - below
            below = upto
        self._counts[-1] += len(ordered) - below
        self._sum += sum(ordered)

    def family(self) -> Metric:
        """What a scrape shows: cumulative buckets."""
        total = 0
        buckets = []
        for bound, count in zip(self._bounds, self._counts, strict=False):
            total += count
            buckets.append((repr(float(bound)), float(total)))
        buckets.append(("+Inf", float(total + self._counts[-1])))
        return HistogramMetricFamily(self._name, self._meaning, buckets=buckets, sum_value=self._sum)
