"""The in-memory adapters, dressed for the contract suites."""

from collections.abc import Sequence

from eventbridge.adapters.memory import MemoryDeadLetters, MemoryEventSink, MemoryEventSource, MemoryLog
from eventbridge.application.ports import DeadLetter, Record
from eventbridge.domain.delivery import Partition
from eventbridge.domain.routing import Target
from eventbridge.testing import StoredEvent


class MemorySinkUnderTest:
    def __init__(self, sink: MemoryEventSink | None = None) -> None:
        self.sink = sink or MemoryEventSink(shards=3)

    async def stored(self, target: Target) -> Sequence[StoredEvent]:
        return [StoredEvent(event=each.event, data=each.data) for each in self.sink.stream(target)]

    async def occupy(self, target: Target) -> None:
        self.sink.occupy(target)


class MemoryLogUnderTest:
    partitions = (Partition("orders", 0), Partition("orders", 1), Partition("orders", 2))

    def __init__(self, kind: type[MemoryEventSource] = MemoryEventSource) -> None:
        self.log = MemoryLog({"orders": 3})
        self._kind = kind

    def source(self) -> MemoryEventSource:
        return self._kind(self.log, ["orders"])

    async def append(self, partition: Partition, records: Sequence[Record]) -> Sequence[int]:
        return [
            self.log.append(
                partition, each.value, key=each.key, headers=each.headers, timestamp=each.timestamp
            )
            for each in records
        ]

    async def leave_gap(self, partition: Partition) -> None:
        self.log.skip(partition, 2)


class MemoryDeadLettersUnderTest:
    def __init__(self, dead_letters: MemoryDeadLetters | None = None) -> None:
        self.dead_letters = dead_letters or MemoryDeadLetters()

    async def kept(self) -> Sequence[DeadLetter]:
        return self.dead_letters.kept
