"""What the bridge tells of itself, kept for the screen instead of for Prometheus."""

from collections.abc import Sequence

import msgspec

from ...domain.delivery import Partition


class BridgeNumbers(msgspec.Struct):
    """`Telemetry` as plain attributes, of one life of the bridge; travels as JSON."""

    records_consumed: int = 0
    events_published: int = 0
    events_filtered: int = 0
    records_rejected: int = 0
    duplicates: int = 0
    offsets_dropped: int = 0
    failures: int = 0
    commits: int = 0
    circuit_state: str = "closed"
    halts: dict[str, str] = {}
    joined: bool = False
    """Whether the group has given us partitions."""

    def consumed(self, topic: str, count: int) -> None:
        """As in `Telemetry`, like all that follows."""
        del topic
        self.records_consumed += count

    def filtered(self, count: int) -> None:
        """Not for pages."""
        self.events_filtered += count

    def rejected(self, reason: str, count: int) -> None:
        """Malformed."""
        del reason
        self.records_rejected += count

    def published(self, appended: int, duplicates: int, timestamps: Sequence[int], now_ms: int) -> None:
        """Appended to streams."""
        del timestamps, now_ms
        self.events_published += appended
        self.duplicates += duplicates

    def dropped(self, reason: str, count: int) -> None:
        """Passed by policy, which the demo does not have."""
        del reason
        self.offsets_dropped += count

    def publish_took(self, seconds: float) -> None:
        """Not shown."""

    def publish_failed(self, reason: str) -> None:
        """A call to Redis failed."""
        del reason
        self.failures += 1

    def committed(self) -> None:
        """Progress was written to Kafka."""
        self.commits += 1

    def rebalanced(self) -> None:
        """The group has assigned."""
        self.joined = True

    def circuit(self, state: str, failure_ratio: float) -> None:
        """The breaker has changed."""
        del failure_ratio
        self.circuit_state = state.replace("_", "-")

    def halted(self, partition: Partition, reason: str | None) -> None:
        """A partition is not read any more, or again."""
        if reason is None:
            self.halts.pop(str(partition), None)
        else:
            self.halts[str(partition)] = reason

    def lag(self, partition: Partition, records: int | None) -> None:
        """Not shown: a paused consumer does not hear how far the log has grown."""


class Told(msgspec.Struct, omit_defaults=True):
    """A line from the bridge's process: its numbers, or something that a person should know."""

    numbers: BridgeNumbers | None = None
    note: str = ""
