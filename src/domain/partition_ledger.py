"""One partition's run through the protocol: what was read, what each shard acknowledged, where to go on.

Pure: the application performs the calls and tells the answers. Source: DELIVERY.md 4, items 2 to 5.
"""

from collections import deque
from collections.abc import Mapping, Sequence

import msgspec

from .delivery import (
    MAX_BATCH_BYTES,
    MAX_BATCH_ENTRIES,
    Answer,
    Applied,
    Bad,
    Batch,
    Entry,
    Gap,
    KnownRecord,
    Mark,
    Partition,
    ShardPosition,
)


class Rewind(msgspec.Struct, frozen=True):
    """The run is over: discard everything read, go on reading at `position`.

    `missing` are the offsets that will not be read again, since they were dropped by policy, although
    the rollback lost some of them.
    """

    position: int
    missing: range


class Refused(msgspec.Struct, frozen=True):
    """These entries can never be appended: dead-letter them, tell `discard`, call again."""

    offsets: tuple[int, ...]


class StateLost(msgspec.Struct, frozen=True):
    """A shard forgot the partition: the assignment must be decided anew (`assignment.plan`)."""

    shard: int


Consequence = Rewind | Refused | StateLost | None
"""What an answer demands; None: go on."""


class Span:
    """The offsets (after, upto] that one poll covered, and what of them is still to be applied.

    `before` and `last` are the last records known at or below `after` and `upto`. Until
    `PartitionLedger.routed` it is pending in every shard, since nobody knows yet what it holds.
    """

    __slots__ = ("after", "before", "last", "queues", "run", "upto")

    def __init__(
        self, run: int, after: int, before: KnownRecord | None, upto: int, last: KnownRecord | None
    ) -> None:
        self.run = run
        self.after = after
        self.before = before
        self.upto = upto
        self.last = last
        self.queues: dict[int, deque[Sequence[Entry]]] | None = None

    @property
    def shards(self) -> tuple[int, ...]:
        """The shards that still have something to apply."""
        return tuple(self.queues or ())

    def pending_in(self, shard: int) -> bool:
        """Whether something of this span is, or may be, still to be applied in the shard."""
        return self.queues is None or shard in self.queues


class PartitionLedger:
    """What is known of one partition while it is ours.

    `previous[s]` is the watermark that shard `s` last answered, `epochs[s]` its epoch then, `position`
    the next offset to read, `dropped_to` the last offset that was passed by policy (-1: none). `run` grows
    with each rewind: polls, spans and answers of an earlier run are void, since batches that were read
    before a rollback was noticed have jumped over what it lost.
    """

    def __init__(
        self, partition: Partition, position: int, shards: Sequence[ShardPosition], dropped_to: int = -1
    ) -> None:
        self.partition = partition
        self.position = position
        self.dropped_to = dropped_to
        self.run = 0
        self.previous = [shard.watermark if shard.watermark is not None else position - 1 for shard in shards]
        self.epochs = [shard.epoch for shard in shards]
        self._former_epochs: list[set[str | None]] = [set() for _ in shards]
        records = [shard.known_record for shard in shards]
        self._tail = max((known for known in records if known and known.offset < position), default=None)
        self._pending: deque[Span] = deque()

    @property
    def applied_upto(self) -> int:
        """The highest offset up to which every shard acknowledged: what may be committed is one more."""
        return min(self.previous)

    @property
    def pending(self) -> int:
        """Spans that were read and are not applied yet."""
        return len(self._pending)

    def polled(self, run: int, next_offset: int, last: tuple[int, int] | None) -> Span | None:
        """Take note of a poll, begun in `run`, that moved the position to `next_offset`.

        `last` is (offset, timestamp in ms, negative if unknown) of its last record, None if it had none.
        Answers None where the poll is void or moved nothing.
        """
        if run != self.run or next_offset <= self.position:
            return None
        upto = next_offset - 1
        tail = (KnownRecord.of(*last) if last else None) or self._tail
        span = Span(self.run, self.position - 1, self._tail, upto, tail)
        self.position, self._tail = next_offset, tail
        self._pending.append(span)
        return span

    def routed(self, span: Span, entries: Mapping[int, Sequence[Entry]]) -> None:
        """Say what the span holds, by shard in offset order; rejected records are already kept.

        A span of an earlier run stays void.
        """
        span.queues = {shard: deque(chunks(queue)) for shard, queue in entries.items() if queue}
        self._settle()

    def next_batch(self, span: Span, shard: int) -> Batch | None:
        """The next call for this shard, None when the span has nothing more for it or is void.

        Not to be asked again before the last one's answer was told: one writer per shard.
        """
        if span.run != self.run or not span.queues or shard not in span.queues:
            return None
        queue = span.queues[shard]
        entries = queue[0]
        if len(queue) == 1:
            upto, known = span.upto, span.last
        else:
            upto = entries[-1].offset
            known = KnownRecord.of(upto, entries[-1].timestamp) or span.before
        return Batch(shard, (self._mark(shard, upto, known),), entries)

    def answered(self, span: Span, batch: Batch, answer: Answer) -> Consequence:
        """Take note of an answer to `next_batch`'s call; void answers demand nothing."""
        if span.run != self.run or span.queues is None:
            return None
        if isinstance(answer, Bad):
            return Refused(answer.offsets)
        if isinstance(answer, Applied):
            queue = span.queues[batch.shard]
            queue.popleft()
            if not queue:
                del span.queues[batch.shard]
        consequence = self._take(batch.shard, answer)
        self._settle()
        return consequence

    def discard(self, span: Span, shard: int, offsets: Sequence[int]) -> None:
        """Leave out of the next call what the shard refused and the dead letters now keep."""
        if span.run != self.run or not span.queues or shard not in span.queues:
            return
        refused = set(offsets)
        queue = span.queues[shard]
        queue[0] = [entry for entry in queue[0] if entry.offset not in refused]
        if not queue[0] and len(queue) > 1:
            queue.popleft()

    def checkpoint(self, shard: int) -> Mark:
        """How far this shard has everything: to the first span pending in it, else all that was read."""
        for span in self._pending:
            if span.pending_in(shard):
                return self._mark(shard, max(span.after, self.previous[shard]), span.before)
        return self._mark(shard, max(self.position - 1, self.previous[shard]), self._tail)

    def checkpointed(self, run: int, shard: int, answer: Answer) -> Consequence:
        """Take note of the answer to a `checkpoint` that was asked for in `run`."""
        return self._take(shard, answer) if run == self.run else None

    def restart(self) -> Rewind:
        """Void everything that was read and is not acknowledged; says where to read on."""
        self._void()
        self.position = max(self.applied_upto, self.dropped_to) + 1
        if self._tail and self._tail.offset >= self.position:
            self._tail = None
        return Rewind(self.position, range(self.applied_upto + 1, self.position))

    def pass_over(self, lost: range) -> None:
        """Do not read what the log no longer has; for the beginning, when its loss has been declared."""
        if self.position in lost:
            self.position = lost.stop

    def drop(self) -> range:
        """Pass everything that was read, for all shards alike (`ON_SINK_FAILURE=drop`).

        Answers the offsets that may be missing now. The next checkpoint raises the watermarks over them.
        """
        passed = range(max(self.applied_upto, self.dropped_to) + 1, self.position)
        self._void()
        self.dropped_to = self.position - 1
        return passed

    def _void(self) -> None:
        self.run += 1
        self._pending.clear()

    def _mark(self, shard: int, upto: int, known: KnownRecord | None) -> Mark:
        previous, epoch = self.previous[shard], self.epochs[shard]
        if known is None:
            return Mark(self.partition, previous, upto, None, epoch)
        proof = None if known.offset == upto else known.offset
        return Mark(self.partition, previous, upto, known.timestamp, epoch, proof)

    def _take(self, shard: int, answer: Answer) -> Consequence:
        if isinstance(answer, Applied):
            self.previous[shard] = max(self.previous[shard], answer.watermark)
            self._see_epoch(shard, answer.epoch)
            return None
        if isinstance(answer, Gap):
            self._rolled_back(shard, answer)
            return self.restart()
        return StateLost(shard)

    def _rolled_back(self, shard: int, gap: Gap) -> None:
        former = self._former_epochs[shard]
        if gap.epoch in former:
            # The rollback undid a change of epoch, so the call did not change it: the same `previous`
            # under the epoch that is back finds the gap once more, and changes it.
            former.discard(gap.epoch)
        else:
            self.previous[shard] = gap.watermark
        self._see_epoch(shard, gap.epoch)

    def _see_epoch(self, shard: int, epoch: str) -> None:
        if epoch != self.epochs[shard]:
            self._former_epochs[shard].add(self.epochs[shard])
            self.epochs[shard] = epoch

    def _settle(self) -> None:
        while self._pending and self._pending[0].queues is not None and not self._pending[0].queues:
            self._pending.popleft()


def chunks(entries: Sequence[Entry]) -> list[Sequence[Entry]]:
    """Cut one shard's entries into calls of at most MAX_BATCH_ENTRIES and about MAX_BATCH_BYTES."""
    if len(entries) <= MAX_BATCH_ENTRIES and sum([len(entry.data) for entry in entries]) <= MAX_BATCH_BYTES:
        return [entries]
    cut: list[Sequence[Entry]] = []
    start = size = 0
    for index, entry in enumerate(entries):
        if index > start and (index - start == MAX_BATCH_ENTRIES or size + len(entry.data) > MAX_BATCH_BYTES):
            cut.append(entries[start:index])
            start, size = index, 0
        size += len(entry.data)
    cut.append(entries[start:])
    return cut
