"""What came and was not taken yet: taken all at once, and bounded by having its writers wait."""

import asyncio
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

N = TypeVar("N")

ROOM_BYTES: Final = 8 << 20
"""Of messages whose news were not taken; beyond it writers wait, then the server's buffer fills, and at
its limit (32 MiB by default) it closes the connection, which is noticed and made good by resuming."""


class NewsQueue(Generic[N]):
    """For one taker, in one event loop."""

    def __init__(self) -> None:
        self._news: list[N] = []
        self._bytes = 0
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()

    def put(self, news: Sequence[N], size: int = 0) -> None:
        """Add what came in a message of `size` bytes; always succeeds: wait for `room` before the next."""
        if not news:
            return
        self._news += news
        self._bytes += size
        self._filled.set()
        if self._bytes > ROOM_BYTES:
            self._emptied.clear()

    async def room(self) -> None:
        """Wait until what was put was taken, where it is too much."""
        if not self._emptied.is_set():
            await self._emptied.wait()

    async def take(self) -> Sequence[N]:
        """Wait for news, then take all that are there."""
        await self._filled.wait()
        return self.clear()

    def clear(self) -> Sequence[N]:
        """Take all that are there, which may be none."""
        news, self._news = self._news, []
        self._bytes = 0
        self._filled.clear()
        self._emptied.set()
        return news
