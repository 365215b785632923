"""One shard of the sink as a few lines of Python: what the Lua script must do, no more.

The property test of the script runs both side by side; the model of the delivery protocol uses it in
the place of Redis. Source of the rules: DELIVERY.md 3 and 4.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from eventbridge.domain.delivery import Answer, Applied, Bad, Batch, Entry, Gap, Lost, Mark, Partition
from eventbridge.domain.routing import Target

NOTHING = (0, 0)
"""The id before the first: `0-0`."""


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """One entry in a stream: `id` and `prev` are (milliseconds, sequence)."""

    id: tuple[int, int]
    prev: tuple[int, int]
    entry: Entry
    partition: Partition | None
    """Where it came from; None for one that was published by itself."""


@dataclass(frozen=True, slots=True)
class ShardState:
    """All that a shard holds, as one value: keep it, and put it back to play a rollback."""

    epoch: str | None = None
    since: int | None = None
    watermarks: dict[Partition, int] = field(default_factory=dict)
    timestamps: dict[Partition, tuple[int, int | None]] = field(default_factory=dict)
    streams: dict[Target, tuple[StreamEntry, ...]] = field(default_factory=dict)


class ShardModel:
    """A shard. `wrong_types` names targets whose key is no stream; `now` is its clock, in ms.

    `announced` is what went out on the live channel: entries, and each new epoch by itself.
    """

    def __init__(self, wrong_types: Iterable[Target] = ()) -> None:
        self.state = ShardState()
        self.wrong_types = set(wrong_types)
        self.now = 1
        self.announced: list[StreamEntry | str] = []

    @property
    def streams(self) -> dict[Target, tuple[StreamEntry, ...]]:
        """Each target's entries, oldest first."""
        return self.state.streams

    @property
    def epoch(self) -> str | None:
        """The shard's epoch; None where nothing was ever initialised."""
        return self.state.epoch

    def snapshot(self) -> ShardState:
        """What the shard holds now."""
        return self.state

    def restore(self, state: ShardState) -> None:
        """Roll back (or forward) to what it held once; `ShardState()` is an empty server."""
        self.state = state

    def watermark(self, partition: Partition) -> int | None:
        """The last offset applied."""
        return self.state.watermarks.get(partition)

    def timestamp(self, partition: Partition) -> tuple[int | None, int | None]:
        """The timestamp kept with the watermark, and the offset that it belongs to if that is another."""
        return self.state.timestamps.get(partition, (None, None))

    def apply(self, batch: Batch, spare_epoch: str) -> list[Answer]:
        """One call: an answer per mark. The epoch in an answer is the one in force after the call."""
        if batch.entries and (len(batch.marks) != 1 or batch.marks[0].previous is None):
            raise ValueError("entries come with exactly one mark, which is no initialisation")
        self.now += 1
        answers = [self._move(mark, batch.entries, spare_epoch) for mark in batch.marks]
        return [self._with_epoch(answer) for answer in answers]

    def publish(self, entry: Entry, spare_epoch: str) -> tuple[int, int]:
        """Append one entry that has no source; answers its id. No watermark moves."""
        if entry.target in self.wrong_types:
            raise ValueError(f"{entry.target} is no stream")
        self.now += 1
        if self.state.epoch is None:
            self._set_epoch(spare_epoch)
        return self._append(entry, None).id

    def _move(self, mark: Mark, entries: Iterable[Entry], spare_epoch: str) -> Answer:
        watermark = self.state.watermarks.get(mark.partition)
        if mark.previous is None:
            if watermark is None:
                self._raise_watermark(mark)
                if self.state.epoch is None or self.state.epoch == mark.epoch:
                    self._set_epoch(spare_epoch)
            elif self.state.epoch is None:
                self._set_epoch(spare_epoch)
            return Applied(0, self.state.watermarks[mark.partition], "")
        if watermark is None:
            return Lost()
        if watermark < mark.previous:
            if self.state.epoch is None or self.state.epoch == mark.epoch:
                self._set_epoch(spare_epoch)
            return Gap(watermark, "")
        new = [entry for entry in entries if entry.offset > watermark]
        bad = tuple(entry.offset for entry in new if entry.target in self.wrong_types)
        if bad:
            return Bad(bad)
        if self.state.epoch is None:
            self._set_epoch(spare_epoch)
        for entry in new:
            self._append(entry, mark.partition)
        if mark.upto > watermark:
            self._raise_watermark(mark)
        return Applied(len(new), max(watermark, mark.upto), "")

    def _with_epoch(self, answer: Answer) -> Answer:
        if isinstance(answer, Applied):
            return Applied(answer.appended, answer.watermark, self.state.epoch or "")
        if isinstance(answer, Gap):
            return Gap(answer.watermark, self.state.epoch or "")
        return answer

    def _raise_watermark(self, mark: Mark) -> None:
        timestamps = {p: t for p, t in self.state.timestamps.items() if p != mark.partition}
        if mark.timestamp is not None:
            timestamps[mark.partition] = (mark.timestamp, mark.proof)
        watermarks = self.state.watermarks | {mark.partition: mark.upto}
        self.state = replace(self.state, watermarks=watermarks, timestamps=timestamps)

    def _set_epoch(self, epoch: str) -> None:
        self.state = replace(self.state, epoch=epoch, since=self.now)
        self.announced.append(epoch)

    def _append(self, entry: Entry, partition: Partition | None) -> StreamEntry:
        stream = self.state.streams.get(entry.target, ())
        prev = stream[-1].id if stream else NOTHING
        made = StreamEntry(max((self.now, 0), (prev[0], prev[1] + 1)), prev, entry, partition)
        self.state = replace(self.state, streams=self.state.streams | {entry.target: (*stream, made)})
        self.announced.append(made)
        return made
