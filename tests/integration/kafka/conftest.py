"""Settings for the Kafka adapter's tests."""

from __future__ import annotations

from typing import Any, Protocol

import pytest

from eventbridge.adapters.kafka.settings import KafkaSettings
from eventbridge.domain.delivery import Partition
from tests.servers.choice import SharedKafka


class MakeSettings(Protocol):
    """Settings for the test's own topic and group; arguments as of `KafkaSettings`."""

    def __call__(self, **options: Any) -> KafkaSettings: ...


@pytest.fixture
def settings(kafka: SharedKafka, topic: str, group_id: str) -> MakeSettings:
    def make(**options: Any) -> KafkaSettings:
        usual: dict[str, Any] = {"bootstrap_servers": (kafka.bootstrap,), "topics": (topic,)}
        given: dict[str, Any] = usual | {"group_id": group_id} | options
        return KafkaSettings(**given)

    return make


@pytest.fixture
def partition(topic: str) -> Partition:
    """The first partition of the test's own topic."""
    return Partition(topic, 0)
