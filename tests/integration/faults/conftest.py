"""What the tests of faults share: a topic with numbered records, a Redis of their own, settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from tests.integration.faults.oracle import Load
from tests.servers import RedisServer
from tests.servers.choice import SharedKafka
from tests.servers.proxy import RedisProxy


@pytest.fixture
def load(kafka: SharedKafka, topic: str) -> Load:
    """Numbered records for twenty users in four partitions; none is produced yet."""
    return Load(kafka.bootstrap, topic)


@pytest.fixture
def settings(kafka: SharedKafka, topic: str, group_id: str, redis_url: str) -> dict[str, str]:
    """A bridge between the test's own topic and an empty database of the shared Redis."""
    return {
        "KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap,
        "KAFKA__TOPICS": topic,
        "KAFKA__GROUP_ID": group_id,
        "REDIS__URL": redis_url,
    }


@pytest.fixture
def own_redis(redis_server: Callable[..., RedisServer]) -> RedisServer:
    """A Redis that the test may break."""
    return redis_server()


@pytest.fixture
async def proxy(own_redis: RedisServer) -> AsyncIterator[RedisProxy]:
    """Stands before the Redis of the test's own."""
    async with RedisProxy(own_redis.port) as proxy:
        yield proxy
