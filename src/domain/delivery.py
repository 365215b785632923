"""The words of the delivery protocol: what goes into a call to a sink, and what comes back.

Source: DELIVERY.md, sections 3 and 4. The decisions themselves are in `partition_ledger` (a run of
one partition) and `assignment` (where a run begins).
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from .routing import Target

MAX_BATCH_ENTRIES = 500
"""Entries in one call; more are chained (DELIVERY.md 4.3: 500 take about 3.5 ms of Redis time)."""

MAX_BATCH_BYTES = 1_048_576
"""Bytes of data in one call, unless a single entry is larger (DELIVERY.md 4.3)."""


class Partition(NamedTuple):
    """One partition of a topic."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.number}"


class Entry(msgspec.Struct, frozen=True, gc=False):
    """An accepted record on its way into its target's stream."""

    offset: int
    target: Target
    event: str
    """The event's type."""
    data: bytes
    """The JSON exactly as it goes to the page."""
    timestamp: int
    """Kafka's timestamp, milliseconds since the epoch."""
    traceparent: str | None = None
    """W3C trace context of the producer, or of our span where the event is sampled."""


class KnownRecord(NamedTuple):
    """A record that was read: one with another timestamp at its offset means another log."""

    offset: int
    timestamp: int
    """Milliseconds since the epoch, not negative: those are unknown and prove nothing."""

    @classmethod
    def of(cls, offset: int, timestamp: int) -> "KnownRecord | None":
        """None where the timestamp is unknown."""
        return cls(offset, timestamp) if timestamp >= 0 else None


class Mark(msgspec.Struct, frozen=True, gc=False):
    """How one partition's watermark in one shard is to move.

    With `previous` a number: the watermark is expected to be at least that, and is raised to `upto`,
    never lowered. With `previous` None: it is set to `upto` where there is none (initialisation).
    `epoch` is the one last seen in the shard: where a watermark below `previous` shows a rollback, or an
    initialisation finds the shard's watermark missing, the epoch is changed if it is still this one.
    `timestamp`, in ms, is that of the last record known at or below `upto`, by which a log that was made
    anew is told from this one; None where no record is known.
    """

    partition: Partition
    previous: int | None
    upto: int
    timestamp: int | None = None
    epoch: str | None = None
    proof: int | None = None
    """The offset of the record with `timestamp`; None where that is `upto` itself."""


class Batch(msgspec.Struct, frozen=True, gc=False):
    """One call to a sink: all or nothing, in one shard.

    `entries` belong to the first mark; they are every accepted record of this shard in
    (previous, upto], in offset order, except those that were kept in the dead letters after `Bad`.
    Without entries it is a checkpoint and may carry the marks of many partitions.
    """

    shard: int
    marks: tuple[Mark, ...]
    entries: Sequence[Entry] = ()


class Applied(msgspec.Struct, frozen=True, gc=False):
    """The mark holds: of the entries `appended` are new, the others were there already."""

    appended: int
    watermark: int
    epoch: str


class Gap(msgspec.Struct, frozen=True, gc=False):
    """The shard was rolled back below what was acknowledged; nothing was written but the new epoch."""

    watermark: int
    epoch: str


class Bad(msgspec.Struct, frozen=True, gc=False):
    """Entries at these offsets can never be appended (stream of a wrong type); nothing was written."""

    offsets: tuple[int, ...]


class Lost(msgspec.Struct, frozen=True, gc=False):
    """The shard does not know this partition: its state was lost."""


Answer = Applied | Gap | Bad | Lost


class ShardPosition(msgspec.Struct, frozen=True, gc=False):
    """What a shard knows of one partition; None where it knows nothing."""

    watermark: int | None
    timestamp: int | None
    """Of the last record known at or below the watermark, in ms."""
    epoch: str | None
    proof: int | None = None
    """The offset of the record with `timestamp`; None where that is the watermark itself."""

    @property
    def known_record(self) -> "KnownRecord | None":
        """The record by which the log can be told from another one."""
        at = self.watermark if self.proof is None else self.proof
        return None if at is None or self.timestamp is None else KnownRecord(at, self.timestamp)


class Commit(msgspec.Struct, frozen=True, gc=False):
    """A position that the source keeps for its consumer group, with a text of ours."""

    offset: int
    metadata: str
