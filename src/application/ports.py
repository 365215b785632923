"""The ports: what the use cases ask of the outside world. Contract suites: `eventbridge.testing`."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from ..domain.delivery import Answer, Batch, Commit, Partition, ShardPosition
from ..domain.message import SSEMessage

__all__ = [
    "AssignmentListener",
    "BatchTrace",
    "Clock",
    "Commit",
    "DeadLetter",
    "DeadLetters",
    "EventSink",
    "EventSource",
    "EventTrace",
    "LogBounds",
    "Polled",
    "Record",
    "Telemetry",
    "Tracing",
]


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record of a source, as it lies there."""

    offset: int
    timestamp: int
    """Milliseconds since the epoch; -1 where the source knows none."""
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()
    too_large: bool = False
    """The source could not hand it over for its size: `value` is None."""


class Polled(msgspec.Struct, frozen=True, gc=False):
    """What one poll gave. `next_offset` is where the next poll reads on; it may lie past the last
    record + 1, and move without any record (control records, aborted transactions, compaction)."""

    records: Sequence[Record]
    next_offset: int


class LogBounds(msgspec.Struct, frozen=True, gc=False):
    """First offset kept and the one after the last that may be read (committed, in transactions)."""

    start: int
    end: int


class AssignmentListener(Protocol):
    """Who wants to know which partitions are ours."""

    async def revoked(self, partitions: Sequence[Partition]) -> None:
        """Called before the partitions go to others; until it returns they may be committed.

        May come for partitions that were lost already. Must return within a few seconds.
        """

    async def assigned(self, partitions: Sequence[Partition]) -> None:
        """Called with *all* partitions that are now ours, each time that this changes.

        Must only take note: the source may answer other calls only after it returned. Partitions
        are not read before they were sought.
        """


class EventSource(Protocol):
    """A log of records in partitions, read by the members of a group. Calls raise
    `SourceUnavailable`, `SourceMisconfigured`, and `NotAssigned` for a partition that is not ours,
    unless they say otherwise."""

    async def start(self, listener: AssignmentListener) -> None:
        """Join the group; assignments are told to the listener from now on."""

    async def stop(self) -> None:
        """Leave the group and close, within a few seconds, however the servers behave. Revokes nothing."""

    async def poll(self, partition: Partition, max_records: int, wait_seconds: float) -> Polled:
        """Read on in one partition: at once if there is something, else wait up to `wait_seconds`.

        At most one poll per partition at a time; polls of different partitions run side by side. An
        error costs the other partitions nothing. A seek or pause during the wait makes it return
        nothing. Never cancelled by the caller. Raises `PartitionPoisoned` and `PositionOutOfLog`.
        """

    def seek(self, partition: Partition, offset: int) -> None:
        """Read on at `offset`; whatever was prefetched is forgotten."""

    def pause(self, partitions: Sequence[Partition]) -> None:
        """Fetch nothing of these until resumed; the group's membership is kept.

        Partitions that are not ours are passed over, here and in `resume`.
        """

    def resume(self, partitions: Sequence[Partition]) -> None:
        """Fetch again."""

    async def commit(self, commits: Mapping[Partition, Commit]) -> None:
        """Keep these positions. A failure costs a filtered replay, nothing else."""

    async def committed(self, partitions: Sequence[Partition]) -> Mapping[Partition, Commit]:
        """The group's commits, of partitions that have one; they need not be assigned to us."""

    async def partitions_of(self, topic: str) -> Sequence[Partition]:
        """All partitions of a topic, assigned to us or not."""

    async def bounds(self, partition: Partition) -> LogBounds:
        """The log's first offset, and its end."""

    async def timestamp_at(self, partition: Partition, offset: int) -> int | None:
        """The timestamp (ms) of the record at exactly `offset`, None if there is no record.

        Moves the position: seek afterwards. Raises `PartitionPoisoned` where it cannot be read any more.
        """

    def lag(self, partition: Partition) -> int | None:
        """Records between the position and the log's end, None if not known; no I/O."""


class EventSink(Protocol):
    """Where accepted events go. Raises `SinkUnavailable` and `SinkMisconfigured`."""

    shards: int
    """Independent parts of the sink; each event's target names one (`domain.routing.shard_of`)."""

    async def positions(
        self, partitions: Sequence[Partition]
    ) -> Mapping[Partition, Sequence[ShardPosition]] | None:
        """What was applied of these partitions, an item per shard; None from a sink without memory
        (then delivery is at least once, from the source's commit)."""

    async def apply(self, batch: Batch) -> Sequence[Answer]:
        """Append and move the watermarks, all or nothing; an answer per mark.

        May be repeated: entries at or below the watermark are not appended again. A sink without
        memory answers `Applied(len(entries), mark.upto, "")`.
        """

    async def publish_event(self, user_id: str, message: SSEMessage) -> str:
        """Append one message that has no source position; answers its position in the stream.

        Atomic, and never repeated by itself: after `SinkUnavailable` it may or may not be there.
        """


class DeadLetter(msgspec.Struct, frozen=True, gc=False):
    """A record that will not reach its user, and why."""

    partition: Partition
    record: Record
    reason: str
    field: str | None
    explanation: str


class DeadLetters(Protocol):
    """Where rejected records are kept, whole, for whoever repairs the producer."""

    async def keep(self, letters: Sequence[DeadLetter]) -> None:
        """Return once all are stored. May store one twice. Raises `DeadLettersUnavailable`."""


class Clock(Protocol):
    """Time, for those who may not look at it."""

    def monotonic(self) -> float:
        """Seconds that never jump."""

    def now_ms(self) -> int:
        """Wall clock, milliseconds since the epoch; for ages that are shown, never for decisions."""


class EventTrace(Protocol):
    """The span of one sampled event."""

    traceparent: str
    """What the entry carries on."""

    def end(self, error: str | None = None) -> None:
        """The event was applied, or was not."""


class BatchTrace(Protocol):
    """The span of one batch."""

    def end(self, error: str | None = None) -> None:
        """The batch was applied, or was not."""


class Tracing(Protocol):
    """Spans for what producers sampled; a bridge without tracing has none."""

    def event(
        self, partition: Partition, record: Record, traceparent: str, ids: Mapping[str, str]
    ) -> EventTrace:
        """Begin the span of one event whose producer sampled it."""

    def batch(self, partition: Partition, count: int, events: Sequence[EventTrace]) -> BatchTrace:
        """Begin the span of a batch, linked to its sampled events."""


class Telemetry(Protocol):
    """What operators see as numbers. Called per batch, not per event; nothing blocks or raises."""

    def consumed(self, topic: str, count: int) -> None:
        """Records were read."""

    def filtered(self, count: int) -> None:
        """Well-formed events that no page may see."""

    def rejected(self, reason: str, count: int) -> None:
        """Records that went to the dead letters."""

    def published(self, appended: int, duplicates: int, timestamps: Sequence[int], now_ms: int) -> None:
        """Entries were appended; `timestamps` (Kafka's, ms) are those of the call's entries."""

    def dropped(self, reason: str, count: int) -> None:
        """Offsets were passed without being applied, by policy."""

    def publish_took(self, seconds: float) -> None:
        """One call to the sink ended well."""

    def publish_failed(self, reason: str) -> None:
        """One call to the sink failed."""

    def committed(self) -> None:
        """Positions were committed."""

    def rebalanced(self) -> None:
        """The assignment changed."""

    def circuit(self, state: str, failure_ratio: float) -> None:
        """The breaker's state and the share of failures in its window."""

    def halted(self, partition: Partition, reason: str | None) -> None:
        """A partition is not read, for this reason; None: it is read again or not ours any more."""

    def lag(self, partition: Partition, records: int | None) -> None:
        """Records not yet read; None: the partition is not ours any more."""
