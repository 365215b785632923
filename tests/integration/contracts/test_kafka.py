"""Kafka's source and dead letters keep the contracts of their ports, on a real broker."""

from collections.abc import AsyncIterator
from typing import Protocol

import pytest

from eventbridge.testing import DeadLettersContract, EventSourceContract
from tests.integration.contracts.kafka_under_test import KafkaDeadLettersUnderTest, KafkaLogUnderTest
from tests.servers.choice import SharedKafka


class NewTopic(Protocol):
    def __call__(self, *, partitions: int) -> str: ...


@pytest.mark.real_kafka
@pytest.mark.timeout(240)
class TestKafkaEventSource(EventSourceContract):
    @pytest.fixture
    def under_test(self, kafka: SharedKafka, new_topic: NewTopic, group_id: str) -> KafkaLogUnderTest:
        return KafkaLogUnderTest(kafka.bootstrap, new_topic(partitions=3), 3, group_id)


class TestKafkaDeadLetters(DeadLettersContract):
    @pytest.fixture
    async def under_test(self, kafka: SharedKafka, topic: str) -> AsyncIterator[KafkaDeadLettersUnderTest]:
        letters = KafkaDeadLettersUnderTest(kafka.bootstrap, topic)
        yield letters
        await letters.dead_letters.stop()
