"""Another source: a list of events instead of Kafka. `python examples/list_source.py` plays it."""

# ruff: noqa: D102, D103, T201 - the port describes the methods; an example prints

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice

from dependency_injector import providers

from eventbridge.adapters.memory import MemoryEventSink
from eventbridge.application.errors import NotAssigned
from eventbridge.application.ports import AssignmentListener, Commit, LogBounds, Polled, Record
from eventbridge.domain.delivery import Partition
from eventbridge.entrypoints.container import Container
from eventbridge.entrypoints.sample_events import sample_events
from eventbridge.entrypoints.settings import CommitGroup, Settings

LIST = Partition("list", 0)


class ListSource:
    """An `EventSource` of one partition that nobody else reads; an event's offset is its index."""

    def __init__(self, events: Sequence[bytes]) -> None:
        self.finished = asyncio.Event()
        """Set when the last event was committed."""
        self._records = [
            Record(offset=n, timestamp=n, key=None, value=event) for n, event in enumerate(events)
        ]
        self._commits: dict[Partition, Commit] = {}
        self._position = 0
        self._paused = False
        self._nudged = asyncio.Event()

    async def start(self, listener: AssignmentListener) -> None:
        await listener.assigned([LIST])

    async def stop(self) -> None:
        self._nudged.set()

    async def poll(self, partition: Partition, max_records: int, wait_seconds: float) -> Polled:
        if partition != LIST:
            raise NotAssigned(partition)
        records = [] if self._paused else self._records[self._position : self._position + max_records]
        if not records:  # the list never grows: only a seek, a pause or a stop can end the wait early
            self._nudged.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._nudged.wait(), wait_seconds)
        self._position += len(records)
        return Polled(records, self._position)

    def seek(self, partition: Partition, offset: int) -> None:
        self._position = offset
        self._nudged.set()

    def pause(self, partitions: Sequence[Partition]) -> None:
        self._paused = True
        self._nudged.set()

    def resume(self, partitions: Sequence[Partition]) -> None:
        self._paused = False

    async def commit(self, commits: Mapping[Partition, Commit]) -> None:
        self._commits.update(commits)
        if commits[LIST].offset == len(self._records):
            self.finished.set()

    async def committed(self, partitions: Sequence[Partition]) -> Mapping[Partition, Commit]:
        return self._commits

    async def partitions_of(self, topic: str) -> Sequence[Partition]:
        return [LIST]

    async def bounds(self, partition: Partition) -> LogBounds:
        return LogBounds(start=0, end=len(self._records))

    async def timestamp_at(self, partition: Partition, offset: int) -> int | None:
        return self._records[offset].timestamp if 0 <= offset < len(self._records) else None

    def lag(self, partition: Partition) -> int | None:
        return len(self._records) - self._position


async def play(source: ListSource, container: Container) -> None:
    """Run EventBridge until everything in the list was delivered."""
    container.source.override(providers.Object(source))
    bridge = await container.bridge.async_()
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(bridge.run())
            await source.finished.wait()
            bridge.stop()
    finally:
        if (closing := container.shutdown_resources()) is not None:
            await closing


def sample_list(count: int) -> ListSource:
    """A source of sample events; about one in four is of a type that no page may see."""
    return ListSource([event.value for event in islice(sample_events(users=2, seed=1), count)])


async def main() -> None:
    sink = MemoryEventSink()
    container = Container(settings=Settings(commit=CommitGroup(interval_seconds=0.1)))
    container.sink.override(providers.Object(sink))

    await play(sample_list(20), container)

    for user, entries in sink.streams().items():
        print(f"{user.id}: {len(entries)} events, the last is {entries[-1].event}")


if __name__ == "__main__":
    asyncio.run(main())
