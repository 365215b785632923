"""What the tests of the Kafka adapter share: members of a group, and records to read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer

from eventbridge.adapters.kafka.client_manager import KafkaClientManager
from eventbridge.adapters.kafka.event_source import KafkaEventSource
from eventbridge.adapters.kafka.settings import KafkaSettings
from eventbridge.application.ports import Record
from eventbridge.domain.delivery import Partition

LIMIT = 20.0
"""Seconds after which a wait in a test has failed."""


class Member:
    """A source, and a listener that notes what it is told."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.clients = KafkaClientManager(settings)
        self.source = KafkaEventSource(self.clients)
        self.partitions: Sequence[Partition] = ()
        self.told: list[tuple[str, tuple[Partition, ...]]] = []
        self.at_revocation: Any = None
        """A coroutine function that is awaited while partitions are being revoked."""
        self._changed = asyncio.Condition()

    async def revoked(self, partitions: Sequence[Partition]) -> None:
        if self.at_revocation is not None:
            await self.at_revocation(partitions)
        await self._note("revoked", partitions)

    async def assigned(self, partitions: Sequence[Partition]) -> None:
        await self._note("assigned", partitions)

    async def _note(self, what: str, partitions: Sequence[Partition]) -> None:
        async with self._changed:
            self.partitions = tuple(partitions) if what == "assigned" else ()
            self.told.append((what, tuple(partitions)))
            self._changed.notify_all()

    async def owns(self, count: int, *, after: int = 0) -> Sequence[Partition]:
        """Wait until this many partitions are ours, told after so many words."""
        async with asyncio.timeout(LIMIT), self._changed:
            await self._changed.wait_for(lambda: len(self.told) > after and len(self.partitions) == count)
            return self.partitions

    async def read(self, partition: Partition, count: int, *, at_once: int = 2000) -> list[Record]:
        """Poll until so many records have come."""
        records: list[Record] = []
        async with asyncio.timeout(LIMIT):
            while len(records) < count:
                records += (await self.source.poll(partition, at_once, 1)).records
        return records


@asynccontextmanager
async def joined(settings: KafkaSettings, partitions: int) -> AsyncIterator[Member]:
    """A member alone in its group that owns this many partitions, none of them sought."""
    member = Member(settings)
    await member.source.start(member)
    try:
        await member.owns(partitions)
        yield member
    finally:
        await member.source.stop()


@asynccontextmanager
async def producing(bootstrap: str, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
    """A producer of aiokafka's."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, **options)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def produce(bootstrap: str, partition: Partition, *values: bytes | None, **options: Any) -> None:
    """Append records whose keys are `key`."""
    async with producing(bootstrap, **options) as producer:
        sent = [
            await producer.send(partition.topic, value, key=b"key", partition=partition.number)
            for value in values
        ]
        await asyncio.gather(*sent)
