"""What the tests of the gateway's side of Redis say often."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, Self, TypeVar

from eventbridge.adapters.redis.connect import connect
from eventbridge.adapters.redis.event_feed import RedisEventFeed
from eventbridge.adapters.redis.link import Link
from eventbridge.adapters.redis.settings import RedisSettings
from eventbridge.application.gateway_ports import (
    Hear,
    Interrupted,
    LiveCopies,
    LiveCopy,
    LiveNews,
    Subscribed,
)

N = TypeVar("N")


def settings_of(url: str, **more: Any) -> RedisSettings:
    return RedisSettings(url=url, **{"shards": 1, "timeout_seconds": 2, **more})


@asynccontextmanager
async def linked(url: str, **more: Any) -> AsyncIterator[Link]:
    """A link that is closed at the end."""
    link = connect(settings_of(url, **more))
    try:
        yield link
    finally:
        await link.close()


@asynccontextmanager
async def feeding(url: str, **more: Any) -> AsyncIterator[RedisEventFeed]:
    """A feed that is closed at the end, with its link."""
    async with linked(url, **more) as link:
        feed = RedisEventFeed(settings_of(url, **more), link)
        try:
            yield feed
        finally:
            await feed.close()


class Heard(Generic[N]):
    """Listens in a task of its own; as an async context manager."""

    def __init__(self, follow: Callable[[Hear[N]], Coroutine[None, None, None]]) -> None:
        self.news: list[N] = []
        self.batches: list[Sequence[N]] = []
        self._follow = follow
        self._came = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def until(self, holds: Callable[[list[N]], bool]) -> list[N]:
        """Wait until what was heard is so, then hand it out and begin anew."""
        while not holds(self.news):
            self._came.clear()
            await self._came.wait()
        news, self.news = self.news, []
        return news

    async def gaps(self, count: int) -> None:
        """Wait until so many batches were empty."""
        while self.batches.count(()) != count:
            self._came.clear()
            await self._came.wait()

    def _hear(self, batch: Sequence[N]) -> None:
        self.batches.append(batch)
        self.news.extend(batch)
        self._came.set()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow(self._hear))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


def subscribed(*shards: int) -> Callable[[list[LiveNews]], bool]:
    return lambda news: all(Subscribed(shard) in news for shard in shards)


def interrupted(*shards: int) -> Callable[[list[LiveNews]], bool]:
    return lambda news: all(Interrupted(shard) in news for shard in shards)


def entries(count: int) -> Callable[[list[LiveNews]], bool]:
    return lambda news: len(data_of(news)) >= count


def copies_of(news: Sequence[LiveNews]) -> list[LiveCopy]:
    return [copy for each in news if isinstance(each, LiveCopies) for copy in each.copies]


def data_of(news: Sequence[LiveNews]) -> list[str]:
    return [copy.data for copy in copies_of(news)]
