"""What is needed to hold a source against its contract."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from ..application.ports import EventSource, Polled, Record
from ..domain.delivery import Partition
from .listener import PATIENCE_SECONDS, RecordingListener


class LogUnderTest(Protocol):
    """A topic of the test's own, empty, and a group of its own that reads it."""

    partitions: Sequence[Partition]
    """All partitions of the one topic, by number: two or more."""

    def source(self) -> EventSource:
        """A further member of the group, not started; the suite stops it."""

    async def append(self, partition: Partition, records: Sequence[Record]) -> Sequence[int]:
        """Write records with these keys, values, headers and timestamps; answers their offsets."""

    async def leave_gap(self, partition: Partition) -> None:
        """Use up one offset or more without a record that readers see (an aborted transaction, say)."""


def record(number: int, **fields: object) -> Record:
    """A record that can be told from every other by its number; where it will lie is not known yet."""
    given: dict[str, object] = {
        "offset": -1,
        "timestamp": 1_700_000_000_000 + number,
        "key": b"session",
        "value": b'{"number":%d}' % number,
    }
    return Record(**(given | fields))  # type: ignore[arg-type] # each field is named with its type


class ReadingMember:
    """A started source and what its listener knows."""

    def __init__(self, source: EventSource, listener: RecordingListener) -> None:
        self.source = source
        self.listener = listener

    async def read(self, partition: Partition, count: int, *, max_records: int = 1000) -> Sequence[Record]:
        """Poll until there are `count` records."""
        records: list[Record] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(records) < count:
                records += (await self.source.poll(partition, max_records, 0.5)).records
        return records

    async def nudged(self, polling: asyncio.Task[Polled], nudge: Callable[[], None]) -> Polled:
        """What the poll answers after a nudge, given again and again: the first may come before the wait."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not polling.done():
                nudge()
                await asyncio.wait({polling}, timeout=0.05)
        return await polling

    async def begin(self, partition: Partition) -> int:
        """Seek to the log's beginning; answers its offset."""
        start = (await self.source.bounds(partition)).start
        self.source.seek(partition, start)
        return start


@asynccontextmanager
async def member(
    log: LogUnderTest, listener: RecordingListener | None = None
) -> AsyncIterator[ReadingMember]:
    """A member that was started; stopped at the end."""
    started = ReadingMember(log.source(), listener or RecordingListener())
    try:
        await started.source.start(started.listener)
        yield started
    finally:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await started.source.stop()


@asynccontextmanager
async def only_member(
    log: LogUnderTest, listener: RecordingListener | None = None
) -> AsyncIterator[ReadingMember]:
    """A member that has all partitions, each sought to its beginning."""
    async with member(log, listener) as alone:
        await alone.listener.until(lambda partitions: partitions == frozenset(log.partitions))
        for partition in log.partitions:
            await alone.begin(partition)
        yield alone
