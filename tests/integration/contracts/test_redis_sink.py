"""The Redis sink keeps the contract of its port, on a real server."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

from eventbridge.adapters.redis import keys
from eventbridge.adapters.redis.settings import RedisSettings
from eventbridge.adapters.redis.sse_service import RedisSSEService
from eventbridge.domain.routing import Target, shard_of
from eventbridge.testing import EventSinkContract, StoredEvent


class RedisSinkUnderTest:
    def __init__(self, sink: RedisSSEService, observer: Redis) -> None:
        self.sink = sink
        self._observer = observer

    async def stored(self, target: Target) -> Sequence[StoredEvent]:
        entries: Any = await self._observer.xrange(self._key(target))
        return [StoredEvent(event=fields[b"event"].decode(), data=fields[b"data"]) for _, fields in entries]

    async def occupy(self, target: Target) -> None:
        await self._observer.set(self._key(target), "no stream")

    def _key(self, target: Target) -> str:
        return keys.stream(shard_of(target.id, self.sink.shards), target)


class TestRedisSSEService(EventSinkContract):
    @pytest.fixture
    async def under_test(self, redis_url: str, source_name: str) -> AsyncIterator[RedisSinkUnderTest]:
        settings = RedisSettings(url=redis_url, shards=3)
        observer = Redis.from_url(redis_url, protocol=2)
        async with RedisSSEService(settings, source_name) as sink, observer:
            yield RedisSinkUnderTest(sink, observer)
