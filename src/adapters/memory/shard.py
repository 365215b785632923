"""One shard of a sink as plain values: the rules of a call, without a server."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Self

import msgspec

from ...domain.delivery import Answer, Applied, Bad, Batch, Entry, Gap, Lost, Mark, Partition, ShardPosition
from ...domain.routing import Target


class StreamEntry(msgspec.Struct, frozen=True, gc=False):
    """One entry of a stream, with the fields of DELIVERY.md 3."""

    id: str
    """`<ms>-<sequence>`, rising within its stream."""
    prev: str
    """The id of the entry before it, `0-0` for the first."""
    event: str
    data: bytes
    timestamp: int | None
    """Of the record, milliseconds since the epoch; None where it came from no record."""
    traceparent: str | None = None
    source: tuple[Partition, int] | None = None
    """Partition and offset of the record; no real sink keeps them, tests compare with them."""


class Watermark(NamedTuple):
    """How far one partition has been applied, and the timestamp (ms) of the last record known up to there."""

    offset: int
    timestamp: int | None
    proof: int | None = None
    """The offset of that record, None where it is the watermark's."""


class ShardState(msgspec.Struct, frozen=True):
    """A copy of a shard that later calls leave as it is."""

    watermarks: Mapping[Partition, Watermark]
    epoch: str | None
    since: int | None
    streams: Mapping[Target, tuple[StreamEntry, ...]]
    occupied: frozenset[Target]


EMPTY = ShardState(watermarks={}, epoch=None, since=None, streams={}, occupied=frozenset())
"""A shard that was never written, or that lost everything."""

_SALTS = 1_000_000_000
_SALT_STEP = 618_033_989
"""Prime to the number of salts, so that each comes once before any comes again, in no order."""


class MemoryShard:
    """Watermarks, epoch and streams of one shard (DELIVERY.md 3 and 4.3), changed call by call.

    A call is one step: no other can come between, and a batch is refused by its answer alone. `clock_ms`
    stands for the server's clock, from which the ids come; whoever holds the shard moves it. No id is given
    twice, not even after a rollback. A deep copy costs as much as a snapshot, since entries are frozen and
    shared.
    """

    __slots__ = ("_epoch", "_occupied", "_salt", "_since", "_streams", "_watermarks", "clock_ms")

    def __init__(self, state: ShardState = EMPTY, *, clock_ms: int = 0, salt: int = 0) -> None:
        self.clock_ms = clock_ms
        self._salt = salt
        self.restore(state)

    def snapshot(self) -> ShardState:
        """The shard as it is now."""
        return ShardState(
            watermarks=dict(self._watermarks),
            epoch=self._epoch,
            since=self._since,
            streams={target: tuple(entries) for target, entries in self._streams.items()},
            occupied=frozenset(self._occupied),
        )

    def restore(self, state: ShardState) -> None:
        """Become what the snapshot was: a failover that lost writes, or (`EMPTY`) all of them.

        The clock goes on, and the salts.
        """
        self._watermarks = dict(state.watermarks)
        self._epoch = state.epoch
        self._since = state.since
        self._streams = {target: list(entries) for target, entries in state.streams.items()}
        self._occupied = set(state.occupied)

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return type(self)(self.snapshot(), clock_ms=self.clock_ms, salt=self._salt)

    def apply(self, batch: Batch, spare_epoch: str) -> tuple[Answer, ...]:
        """One call: an answer per mark, in their order.

        Each mark is judged by itself: beside one that finds a gap, another partition's may hold. What
        is written for a mark is all or nothing. The answers carry the epoch as it is after the call.
        `spare_epoch` is what the epoch becomes where it has to change. Raises `ValueError` where entries
        come with an initialisation or with several marks: then it is not plain whose they are.
        """
        if batch.entries and (len(batch.marks) != 1 or batch.marks[0].previous is None):
            raise ValueError("entries come with exactly one mark, which is no initialisation")
        answers = [
            self._initialise(mark, spare_epoch)
            if mark.previous is None
            else self._advance(mark, mark.previous, batch.entries, spare_epoch)
            for mark in batch.marks
        ]
        epoch = self._epoch
        if epoch is None or len(answers) == 1:
            return tuple(answers)
        return tuple(
            msgspec.structs.replace(answer, epoch=epoch) if isinstance(answer, Applied | Gap) else answer
            for answer in answers
        )

    def append(self, target: Target, event: str, data: bytes, spare_epoch: str) -> str:
        """Append one entry that comes from no record; answers its id.

        The shard has an epoch afterwards.

        Raises `TypeError` where the target's place holds something that is no stream.
        """
        if target in self._occupied:
            raise TypeError(f"{target} is occupied by something that is no stream")
        self._known_epoch(spare_epoch)
        return self._append(target, event, data)

    def occupy(self, target: Target) -> None:
        """Put something that is no stream in this target's place: its entries are `Bad` from now on."""
        self._streams.pop(target, None)
        self._occupied.add(target)

    def free(self, target: Target) -> None:
        """Take away what `occupy` put there."""
        self._occupied.discard(target)

    def position(self, partition: Partition) -> ShardPosition:
        """What this shard knows of the partition."""
        known = self._watermarks.get(partition)
        if known is None:
            return ShardPosition(watermark=None, timestamp=None, epoch=self._epoch)
        return ShardPosition(known.offset, known.timestamp, self._epoch, known.proof)

    def stream(self, target: Target) -> Sequence[StreamEntry]:
        """The target's entries, oldest first."""
        return tuple(self._streams.get(target, ()))

    def streams(self) -> Iterator[tuple[Target, Sequence[StreamEntry]]]:
        """Every target that has entries, with them."""
        for target, entries in self._streams.items():
            yield target, tuple(entries)

    @property
    def epoch(self) -> str | None:
        """The present epoch; None in a shard that was never written."""
        return self._epoch

    @property
    def since(self) -> int | None:
        """When the epoch began, milliseconds of the shard's clock."""
        return self._since

    def _initialise(self, mark: Mark, spare_epoch: str) -> Answer:
        known = self._watermarks.get(mark.partition)
        if known is None:
            self._change_epoch(mark.epoch, spare_epoch)
            known = self._watermarks[mark.partition] = Watermark(mark.upto, mark.timestamp, mark.proof)
        return Applied(appended=0, watermark=known.offset, epoch=self._known_epoch(spare_epoch))

    def _advance(self, mark: Mark, previous: int, entries: Sequence[Entry], spare_epoch: str) -> Answer:
        known = self._watermarks.get(mark.partition)
        if known is None:
            return Lost()
        if known.offset < previous:
            self._change_epoch(mark.epoch, spare_epoch)
            return Gap(watermark=known.offset, epoch=self._known_epoch(spare_epoch))
        new = [entry for entry in entries if entry.offset > known.offset]
        if bad := tuple(entry.offset for entry in new if entry.target in self._occupied):
            return Bad(offsets=bad)
        for entry in new:
            self._append(
                entry.target,
                entry.event,
                entry.data,
                timestamp=entry.timestamp,
                traceparent=entry.traceparent,
                source=(mark.partition, entry.offset),
            )
        if mark.upto > known.offset:
            known = self._watermarks[mark.partition] = Watermark(mark.upto, mark.timestamp, mark.proof)
        return Applied(appended=len(new), watermark=known.offset, epoch=self._known_epoch(spare_epoch))

    def _append(
        self,
        target: Target,
        event: str,
        data: bytes,
        *,
        timestamp: int | None = None,
        traceparent: str | None = None,
        source: tuple[Partition, int] | None = None,
    ) -> str:
        entries = self._streams.setdefault(target, [])
        prev = entries[-1].id if entries else "0-0"
        self._salt = (self._salt + _SALT_STEP) % _SALTS
        identity = next_id(prev, self.clock_ms, self._salt)
        entries.append(
            StreamEntry(
                id=identity,
                prev=prev,
                event=event,
                data=data,
                timestamp=timestamp,
                traceparent=traceparent,
                source=source,
            )
        )
        return identity

    def _change_epoch(self, seen: str | None, spare_epoch: str) -> None:
        if self._epoch is None or self._epoch == seen:
            self._epoch = spare_epoch
            self._since = self.clock_ms

    def _known_epoch(self, spare_epoch: str) -> str:
        if self._epoch is None:
            self._change_epoch(None, spare_epoch)
            return spare_epoch
        return self._epoch


def next_id(last: str, clock_ms: int, salt: int) -> str:
    """The script's rule: the clock and a salt; where the last id is as late, its time with the next turn."""
    ms, sequence = map(int, last.split("-"))
    if clock_ms > ms:
        return f"{clock_ms}-{salt}"
    return f"{ms}-{(sequence // _SALTS + 1) * _SALTS + salt}"
