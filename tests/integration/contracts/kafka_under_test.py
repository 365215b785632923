"""Kafka's adapters, dressed for the contract suites; what they are compared with goes through librdkafka."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

from eventbridge.adapters.kafka.client_manager import KafkaClientManager
from eventbridge.adapters.kafka.dead_letters import KafkaDeadLetters
from eventbridge.adapters.kafka.event_source import KafkaEventSource
from eventbridge.adapters.kafka.settings import KafkaSettings
from eventbridge.application.ports import DeadLetter, Record
from eventbridge.domain.delivery import Partition

LIMIT_SECONDS = 20


class KafkaLogUnderTest:
    """One topic, written by librdkafka and read by members of one group."""

    def __init__(self, bootstrap: str, topic: str, partitions: int, group_id: str) -> None:
        self.partitions = tuple(Partition(topic, number) for number in range(partitions))
        self._bootstrap = bootstrap
        self._clients = KafkaClientManager(
            KafkaSettings(bootstrap_servers=[bootstrap], topics=[topic], group_id=group_id)
        )

    def source(self) -> KafkaEventSource:
        return KafkaEventSource(self._clients)

    async def append(self, partition: Partition, records: Sequence[Record]) -> Sequence[int]:
        return await asyncio.to_thread(self._append, partition, records)

    async def leave_gap(self, partition: Partition) -> None:
        await asyncio.to_thread(self._abort_a_transaction, partition)

    def _append(self, partition: Partition, records: Sequence[Record]) -> Sequence[int]:
        producer = Producer({"bootstrap.servers": self._bootstrap, "acks": "all", "log_level": 0})
        offsets: list[int] = []

        def stored(error: KafkaError | None, message: Any) -> None:
            assert error is None, error
            offsets.append(message.offset())

        for each in records:
            producer.produce(
                partition.topic,
                each.value,
                each.key,
                partition=partition.number,
                on_delivery=stored,
                timestamp=each.timestamp,
                headers=list(each.headers),
            )
        assert producer.flush(LIMIT_SECONDS) == 0
        return offsets

    def _abort_a_transaction(self, partition: Partition) -> None:
        producer = Producer({"bootstrap.servers": self._bootstrap, "transactional.id": f"gap-{uuid4().hex}"})
        producer.init_transactions(LIMIT_SECONDS)
        producer.begin_transaction()
        producer.produce(partition.topic, b"never to be seen", partition=partition.number)
        assert producer.flush(LIMIT_SECONDS) == 0
        producer.abort_transaction(LIMIT_SECONDS)


class KafkaDeadLettersUnderTest:
    """Dead letters in a topic, read back by librdkafka, partition after partition."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        clients = KafkaClientManager(KafkaSettings(bootstrap_servers=[bootstrap]))
        self.dead_letters = KafkaDeadLetters(clients, topic)
        self._bootstrap = bootstrap
        self._topic = topic

    async def kept(self) -> Sequence[DeadLetter]:
        return [_letter(message) for message in await asyncio.to_thread(self._read)]

    def _read(self) -> Sequence[Any]:
        settings = {
            "bootstrap.servers": self._bootstrap,
            "group.id": "reads-back",
            "enable.partition.eof": True,
            "log_level": 0,
        }
        consumer = Consumer(settings)
        try:
            numbers = set(consumer.list_topics(self._topic, LIMIT_SECONDS).topics[self._topic].partitions)
            consumer.assign([TopicPartition(self._topic, number, OFFSET_BEGINNING) for number in numbers])
            messages: list[Any] = []
            while numbers:
                message: Any = consumer.poll(LIMIT_SECONDS)
                assert message is not None, "the dead letters cannot be read back"
                if message.error() is None:
                    messages.append(message)
                else:
                    assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                    numbers.discard(message.partition())
            return messages
        finally:
            consumer.close()


def _letter(message: Any) -> DeadLetter:
    headers = [(name, content) for name, content in message.headers() or ()]
    told = {name.removeprefix("eventbridge-"): content or b"" for name, content in headers if _ours(name)}
    field = told.get("field")
    return DeadLetter(
        partition=Partition(told["topic"].decode(), int(told["partition"])),
        record=Record(
            offset=int(told["offset"]),
            timestamp=int(told["timestamp"]),
            key=message.key(),
            value=None if "value-null" in told else message.value(),
            headers=[(name, content) for name, content in headers if not _ours(name)],
        ),
        reason=told["reason"].decode(),
        field=None if field is None else field.decode(),
        explanation=told["explanation"].decode(),
    )


def _ours(name: str) -> bool:
    return name.startswith("eventbridge-")
