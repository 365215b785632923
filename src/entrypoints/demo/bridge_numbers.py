"""What the bridge tells of itself, kept for the screen instead of for Prometheus."""

import asyncio
from collections.abc import Sequence

from ...domain.delivery import Partition


class BridgeNumbers:
    """`Telemetry` as plain attributes."""

    def __init__(self) -> None:
        self.records_consumed = 0
        self.events_published = 0
        self.events_filtered = 0
        self.records_rejected = 0
        self.duplicates = 0
        self.offsets_dropped = 0
        self.failures = 0
        self.commits = 0
        self.circuit_state = "closed"
        self.halts: dict[Partition, str] = {}
        self.joined = asyncio.Event()
        """Set once the group has given us partitions."""

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
        self.joined.set()

    def circuit(self, state: str, failure_ratio: float) -> None:
        """The breaker has changed."""
        del failure_ratio
        self.circuit_state = state.replace("_", "-")

    def halted(self, partition: Partition, reason: str | None) -> None:
        """A partition is not read any more, or again."""
        if reason is None:
            self.halts.pop(partition, None)
        else:
            self.halts[partition] = reason

    def lag(self, partition: Partition, records: int | None) -> None:
        """Not shown: a paused consumer does not hear how far the log has grown; the board counts."""
