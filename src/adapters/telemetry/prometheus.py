"""The bridge's numbers for Prometheus."""

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Metric, PlatformCollector, ProcessCollector
from prometheus_client.registry import Collector

from ...domain.delivery import Partition
from .series import Counter, Gauge, Histogram

PUBLISH_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""Bounds of a call's duration: 500 entries take a few ms, the time-out is 5 s by default."""

AGE_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
"""Bounds of an event's age: the aim is 10 ms, what comes after an outage is minutes or hours old."""

CIRCUIT_STATES = ("closed", "open", "half_open")


class PrometheusTelemetry(Collector):
    """`Telemetry` as series of one registry of its own (`registry`), process and platform beside them.

    The names are those of DESIGN.md 6 and `docs/observability.md`. For one event loop's thread, which
    also answers scrapes.
    """

    def __init__(self) -> None:
        self._consumed = Counter("eventbridge_events_consumed", "Records read from the source.", "topic")
        self._filtered = Counter(
            "eventbridge_events_filtered", "Well-formed events that are not white-listed."
        )
        self._rejected = Counter("eventbridge_events_rejected", "Malformed or invalid records.", "reason")
        self._published = Counter("eventbridge_events_published", "Entries appended to streams.")
        self._duplicates = Counter(
            "eventbridge_events_duplicates", "Entries sent again that the sink already had."
        )
        self._dropped = Counter(
            "eventbridge_events_dropped", "Offsets passed by policy without being applied.", "reason"
        )
        self._publish_duration = Histogram(
            "eventbridge_publish_duration_seconds",
            "Duration of calls to the sink that ended well.",
            PUBLISH_SECONDS,
        )
        self._publish_failures = Counter(
            "eventbridge_publish_failures", "Calls to the sink that failed.", "reason"
        )
        self._age = Histogram(
            "eventbridge_event_age_seconds", "Kafka timestamp to appended in the sink.", AGE_SECONDS
        )
        self._circuit = Gauge("eventbridge_circuit_state", "1 for the breaker's state, else 0.", ["state"])
        self._failure_ratio = Gauge(
            "eventbridge_sink_failure_ratio", "Share of failures in the breaker's window."
        )
        self._halted = Gauge("eventbridge_partitions_halted", "Partitions not read, by reason.", ["reason"])
        self._lag = Gauge("eventbridge_consumer_lag", "Records not yet read.", ["topic", "partition"])
        self._commits = Counter("eventbridge_commits", "Commits to the source.")
        self._rebalances = Counter("eventbridge_rebalances", "Changes of the assignment.")
        self._halt_reasons: dict[Partition, str] = {}
        self.circuit("closed", 0.0)

        self.registry = CollectorRegistry()
        """Where other collectors of the same process may register, too."""
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def consumed(self, topic: str, count: int) -> None:
        """Records were read."""
        self._consumed.add(count, topic)

    def filtered(self, count: int) -> None:
        """Well-formed events that no page may see."""
        self._filtered.add(count)

    def rejected(self, reason: str, count: int) -> None:
        """Records that went to the dead letters."""
        self._rejected.add(count, reason)

    def published(self, appended: int, duplicates: int, timestamps: Sequence[int], now_ms: int) -> None:
        """Entries were appended. What the sink already had lies before the watermark, so the call's last
        `appended` timestamps are those of the new ones. A clock that runs behind the producers' shows
        an age of 0; records without a timestamp (-1) have no age.
        """
        self._published.add(appended)
        self._duplicates.add(duplicates)
        if appended > 0:
            self._age.observe_many(
                [(now_ms - at) / 1000 if at < now_ms else 0.0 for at in timestamps[-appended:] if at >= 0]
            )

    def dropped(self, reason: str, count: int) -> None:
        """Offsets were passed without being applied, by policy."""
        self._dropped.add(count, reason)

    def publish_took(self, seconds: float) -> None:
        """One call to the sink ended well."""
        self._publish_duration.observe(seconds)

    def publish_failed(self, reason: str) -> None:
        """One call to the sink failed."""
        self._publish_failures.add(1, reason)

    def committed(self) -> None:
        """Positions were committed."""
        self._commits.add(1)

    def rebalanced(self) -> None:
        """The assignment changed."""
        self._rebalances.add(1)

    def circuit(self, state: str, failure_ratio: float) -> None:
        """The breaker's state (one of `CIRCUIT_STATES`) and the share of failures in its window."""
        current = state.lower().replace("-", "_")
        for known in CIRCUIT_STATES:
            self._circuit.set(float(known == current), known)
        self._failure_ratio.set(failure_ratio)

    def halted(self, partition: Partition, reason: str | None) -> None:
        """A partition is not read, for this reason; None: it is read again or not ours any more."""
        before = self._halt_reasons.pop(partition, None)
        if reason is not None:
            self._halt_reasons[partition] = reason
        for changed in {before, reason} - {None}:
            self._halted.set(sum(1 for held in self._halt_reasons.values() if held == changed), str(changed))

    def lag(self, partition: Partition, records: int | None) -> None:
        """Records not yet read; None: the partition is not ours any more."""
        labels = (partition.topic, str(partition.number))
        if records is None:
            self._lag.forget(*labels)
        else:
            self._lag.set(records, *labels)

    def collect(self) -> Iterator[Metric]:
        """All families, for the registry."""
        for series in (
            self._consumed,
            self._filtered,
            self._rejected,
            self._published,
            self._duplicates,
            self._dropped,
            self._publish_duration,
            self._publish_failures,
            self._age,
            self._circuit,
            self._failure_ratio,
            self._halted,
            self._lag,
            self._commits,
            self._rebalances,
        ):
            yield series.family()
