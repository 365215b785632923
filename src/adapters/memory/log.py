"""A log in this process: the broker that several `MemoryEventSource`s share."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from ...application.errors import SourceMisconfigured, SourceUnavailable
from ...application.ports import LogBounds, Polled, Record
from ...domain.delivery import Partition
from .group import MemoryGroup
from .partition_log import PartitionLog


class MemoryLog:
    """Topics with their partitions, and the groups with what they committed.

    Lives as long as the object: sources come and go, as clients of a broker do. All calls belong to
    one event loop's thread.
    """

    def __init__(self, topics: Mapping[str, int]) -> None:
        """`topics` names them with their number of partitions."""
        self._logs: dict[Partition, PartitionLog] = {}
        self._groups: dict[str, MemoryGroup] = {}
        self._waiting: set[asyncio.Event] = set()
        self._down = False
        for topic, count in topics.items():
            self.create(topic, count)

    @property
    def down(self) -> bool:
        """While true every call of every source raises `SourceUnavailable`."""
        return self._down

    @down.setter
    def down(self, down: bool) -> None:
        self._down = down
        self.wake()

    def create(self, topic: str, partitions: int = 1) -> None:
        """Add the topic, or add partitions to it; whoever reads it is told at once."""
        present = sum(partition.topic == topic for partition in self._logs)
        for number in range(present, partitions):
            self._logs[Partition(topic, number)] = PartitionLog(Partition(topic, number))
        for group in self._groups.values():
            group.rebalance()

    def recreate(self, topic: str) -> None:
        """Delete the topic and create it anew, empty; what groups committed stays."""
        for partition in self.partitions_of(topic):
            self._logs[partition] = PartitionLog(partition)

    def append(
        self,
        partition: Partition,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes | None]] = (),
        timestamp: int | None = None,
        offset: int | None = None,
        too_large: bool = False,
    ) -> int:
        """Add one record; answers its offset.

        The timestamp is the offset where none is given. An offset past the end leaves a gap before it.
        """
        log = self.log(partition)
        at = log.bounds.end if offset is None else offset
        log.append(
            Record(
                offset=at,
                timestamp=at if timestamp is None else timestamp,
                key=key,
                value=None if too_large else value,
                headers=tuple(headers),
                too_large=too_large,
            )
        )
        self.wake()
        return at

    def extend(self, partition: Partition, values: Iterable[bytes | None]) -> Sequence[int]:
        """Add records with these values; answers their offsets."""
        return [self.append(partition, value) for value in values]

    def skip(self, partition: Partition, count: int = 1) -> None:
        """Use up offsets without any record, as control records and aborted transactions do."""
        self.log(partition).skip(count)
        self.wake()

    def trim(self, partition: Partition, start: int) -> None:
        """Forget the records before `start`, as retention does."""
        self.log(partition).trim(start)
        self.wake()

    def poison(self, partition: Partition, offset: int | None) -> None:
        """Make the batch at `offset` unreadable; None heals the partition."""
        self.log(partition).poison(offset)
        self.wake()

    def partitions_of(self, topic: str) -> Sequence[Partition]:
        """All partitions of the topic, by number. Raises `SourceMisconfigured` where there is none."""
        partitions = [partition for partition in self._logs if partition.topic == topic]
        if not partitions:
            raise SourceMisconfigured("unknown_topic", topic)
        return partitions

    def group(self, name: str) -> MemoryGroup:
        """The group of this name, with all that it committed."""
        return self._groups.setdefault(name, MemoryGroup(self.partitions_of))

    def log(self, partition: Partition) -> PartitionLog:
        """One partition's records. Raises `SourceMisconfigured` where there is no such partition."""
        if partition not in self._logs:
            raise SourceMisconfigured("unknown_partition", str(partition))
        return self._logs[partition]

    def check(self) -> None:
        """Raise `SourceUnavailable` while the log is down."""
        if self._down:
            raise SourceUnavailable("the log was taken down")

    def bounds(self, partition: Partition) -> LogBounds:
        """First offset kept and the one after the last."""
        return self.log(partition).bounds

    def read(self, partition: Partition, position: int, limit: int) -> Polled:
        """Up to `limit` records from the position on. Raises `PartitionPoisoned`."""
        return self.log(partition).read(position, limit)

    def wake(self) -> None:
        """Let every waiting poll look again."""
        for waiting in self._waiting:
            waiting.set()

    async def changed(self, deadline: float) -> None:
        """Wait until `wake` is called, or until the loop's clock says `deadline`."""
        woken = asyncio.Event()
        self._waiting.add(woken)
        try:
            async with asyncio.timeout_at(deadline):
                await woken.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(woken)
