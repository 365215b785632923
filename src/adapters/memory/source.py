"""A source that reads a log in this process."""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from ...application.errors import NotAssigned
from ...application.ports import AssignmentListener, Commit, LogBounds, Polled
from ...domain.delivery import Partition
from .log import MemoryLog

REVOCATION_SECONDS = 5.0
"""How long a listener may hold up a rebalance; then the partitions go all the same."""

_logger = logging.getLogger(__name__)


class _Reading:
    """Where one assigned partition is read; `turn` changes with each seek and pause."""

    __slots__ = ("paused", "position", "turn")

    def __init__(self) -> None:
        self.position: int | None = None
        self.paused = False
        self.turn = 0


class MemoryEventSource:
    """The `EventSource` port over a `MemoryLog`, as one member of a group."""

    def __init__(self, log: MemoryLog, topics: Sequence[str], *, group: str = "event-bridge") -> None:
        self.topics = tuple(topics)
        self._log = log
        self._group = log.group(group)
        self._listener: AssignmentListener | None = None
        self._readings: dict[Partition, _Reading] = {}

    async def start(self, listener: AssignmentListener) -> None:
        """Join the group."""
        await asyncio.sleep(0)
        self._log.check()
        for topic in self.topics:
            self._log.partitions_of(topic)
        self._listener = listener
        self._group.join(self)

    async def stop(self) -> None:
        """Leave the group; nothing is revoked by this. May be called again, and before `start`."""
        self._listener = None
        self._readings = {}
        self._group.leave(self)
        self._log.wake()
        await asyncio.sleep(0)

    async def poll(self, partition: Partition, max_records: int, wait_seconds: float) -> Polled:
        """Read on in one partition; waits for an append, not for the clock."""
        reading = self._reading(partition)
        turn = reading.turn
        deadline = asyncio.get_running_loop().time() + wait_seconds
        await asyncio.sleep(0)
        while True:
            self._log.check()
            if self._reading(partition) is not reading:
                raise NotAssigned(partition)
            if reading.position is None:
                raise LookupError(f"{partition} was never sought")
            nothing = Polled(records=(), next_offset=reading.position)
            if reading.turn != turn:
                return nothing
            if not reading.paused:
                polled = self._log.read(partition, reading.position, max_records)
                if polled.next_offset > reading.position:
                    reading.position = polled.next_offset
                    return polled
            if asyncio.get_running_loop().time() >= deadline:
                return nothing
            await self._log.changed(deadline)

    def seek(self, partition: Partition, offset: int) -> None:
        """Read on at `offset`."""
        reading = self._reading(partition)
        reading.position = offset
        reading.turn += 1
        self._log.wake()

    def pause(self, partitions: Sequence[Partition]) -> None:
        """Read nothing of these until resumed; those that are not ours are passed over."""
        for reading in self._ours(partitions):
            reading.paused = True
            reading.turn += 1
        self._log.wake()

    def resume(self, partitions: Sequence[Partition]) -> None:
        """Read again; those that are not ours are passed over."""
        for reading in self._ours(partitions):
            reading.paused = False
        self._log.wake()

    @property
    def paused(self) -> frozenset[Partition]:
        """The partitions that are ours and paused."""
        return frozenset(partition for partition, reading in self._readings.items() if reading.paused)

    async def commit(self, commits: Mapping[Partition, Commit]) -> None:
        """Keep these positions in the log."""
        await asyncio.sleep(0)
        self._log.check()
        for partition in commits:
            self._reading(partition)
        self._group.commits.update(commits)

    async def committed(self, partitions: Sequence[Partition]) -> Mapping[Partition, Commit]:
        """The group's commits, of partitions that have one."""
        await asyncio.sleep(0)
        self._log.check()
        commits = self._group.commits
        return {partition: commits[partition] for partition in partitions if partition in commits}

    async def partitions_of(self, topic: str) -> Sequence[Partition]:
        """All partitions of the topic."""
        await asyncio.sleep(0)
        self._log.check()
        return self._log.partitions_of(topic)

    async def bounds(self, partition: Partition) -> LogBounds:
        """First offset kept and the one after the last."""
        await asyncio.sleep(0)
        self._log.check()
        return self._log.bounds(partition)

    async def timestamp_at(self, partition: Partition, offset: int) -> int | None:
        """The timestamp (ms) of the record at exactly `offset`."""
        await asyncio.sleep(0)
        self._log.check()
        return self._log.log(partition).timestamp_at(offset)

    def lag(self, partition: Partition) -> int | None:
        """Records between the position and the log's end."""
        reading = self._readings.get(partition)
        if reading is None or reading.position is None:
            return None
        return max(0, self._log.bounds(partition).end - reading.position)

    async def revoke(self) -> None:
        """Tell the listener and give up all partitions; the group calls it.

        A listener that fails or takes too long does not keep the others from their partitions.
        """
        if self._listener is None or not self._readings:
            return
        try:
            async with asyncio.timeout(REVOCATION_SECONDS):
                await self._listener.revoked(tuple(self._readings))
        except TimeoutError:
            _logger.warning(
                "the listener took longer than %s s to give up its partitions", REVOCATION_SECONDS
            )
        except Exception:
            _logger.exception("the listener failed while it gave up its partitions")
        finally:
            self._readings.clear()
            self._log.wake()

    async def assign(self, partitions: Sequence[Partition]) -> None:
        """Take these partitions and tell the listener; the group calls it."""
        self._readings = {partition: _Reading() for partition in partitions}
        if self._listener is not None:
            try:
                await self._listener.assigned(partitions)
            except Exception:
                _logger.exception("the listener failed when it was told its partitions")

    def _reading(self, partition: Partition) -> _Reading:
        if partition not in self._readings:
            raise NotAssigned(partition)
        return self._readings[partition]

    def _ours(self, partitions: Sequence[Partition]) -> Sequence[_Reading]:
        return [self._readings[partition] for partition in partitions if partition in self._readings]
