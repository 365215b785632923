"""The in-memory adapters keep the contracts of their ports."""

from collections.abc import Sequence

import pytest

from eventbridge.adapters.memory import MemoryDeadLetters, MemoryEventSink, MemoryEventSource, MemoryLog
from eventbridge.application.ports import DeadLetter, Record
from eventbridge.domain.delivery import Partition
from eventbridge.domain.routing import Target
from eventbridge.testing import DeadLettersContract, EventSinkContract, EventSourceContract, StoredEvent


class MemorySinkUnderTest:
    def __init__(self) -> None:
        self.sink = MemoryEventSink(shards=3)

    async def stored(self, target: Target) -> Sequence[StoredEvent]:
        return [StoredEvent(event=each.event, data=each.data) for each in self.sink.stream(target)]

    async def occupy(self, target: Target) -> None:
        self.sink.occupy(target)


class TestMemoryEventSink(EventSinkContract):
    @pytest.fixture
    def under_test(self) -> MemorySinkUnderTest:
        return MemorySinkUnderTest()


class MemoryLogUnderTest:
    partitions = (Partition("orders", 0), Partition("orders", 1), Partition("orders", 2))

    def __init__(self) -> None:
        self.log = MemoryLog({"orders": 3})

    def source(self) -> MemoryEventSource:
        return MemoryEventSource(self.log, ["orders"])

    async def append(self, partition: Partition, records: Sequence[Record]) -> Sequence[int]:
        return [
            self.log.append(
                partition, each.value, key=each.key, headers=each.headers, timestamp=each.timestamp
            )
            for each in records
        ]

    async def leave_gap(self, partition: Partition) -> None:
        self.log.skip(partition, 2)


class TestMemoryEventSource(EventSourceContract):
    @pytest.fixture
    def under_test(self) -> MemoryLogUnderTest:
        return MemoryLogUnderTest()


class MemoryDeadLettersUnderTest:
    def __init__(self) -> None:
        self.dead_letters = MemoryDeadLetters()

    async def kept(self) -> Sequence[DeadLetter]:
        return self.dead_letters.kept


class TestMemoryDeadLetters(DeadLettersContract):
    @pytest.fixture
    def under_test(self) -> MemoryDeadLettersUnderTest:
        return MemoryDeadLettersUnderTest()
