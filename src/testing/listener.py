"""A listener that remembers what it was told."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from ..domain.delivery import Partition

PATIENCE_SECONDS = 45.0
"""How long the suites wait for what must come; only a failure takes so long."""


class RecordingListener:
    """The `AssignmentListener` port: `partitions` is what is assigned now."""

    def __init__(self, on_revoked: Callable[[Sequence[Partition]], Awaitable[None]] | None = None) -> None:
        """`on_revoked` is awaited inside `revoked`."""
        self.partitions: frozenset[Partition] = frozenset()
        self._on_revoked = on_revoked
        self._told = asyncio.Condition()

    async def revoked(self, partitions: Sequence[Partition]) -> None:
        """Take note that they go."""
        if self._on_revoked is not None:
            await self._on_revoked(partitions)
        await self._now(self.partitions - frozenset(partitions))

    async def assigned(self, partitions: Sequence[Partition]) -> None:
        """Take note of all that are ours."""
        await self._now(frozenset(partitions))

    async def until(self, condition: Callable[[frozenset[Partition]], bool]) -> frozenset[Partition]:
        """Wait until what is assigned fulfils the condition; answers it."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._told:
            await self._told.wait_for(lambda: condition(self.partitions))
            return self.partitions

    async def _now(self, partitions: frozenset[Partition]) -> None:
        async with self._told:
            self.partitions = partitions
            self._told.notify_all()
