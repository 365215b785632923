"""A consumer group in this process: who reads which partition, and how far they committed."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from ...application.ports import Commit
from ...domain.delivery import Partition


class Member(Protocol):
    """One reader of the group."""

    @property
    def topics(self) -> Sequence[str]:
        """What it wants to read."""

    async def revoke(self) -> None:
        """Give up all partitions; bounded in time."""

    async def assign(self, partitions: Sequence[Partition]) -> None:
        """Read these partitions from now on."""


class MemoryGroup:
    """Deals the partitions of its members' topics out to them, anew at each change, one after another.

    Eager, like Kafka's classic protocol: everybody gives up everything before anybody gets something.
    """

    def __init__(self, partitions_of: Callable[[str], Sequence[Partition]]) -> None:
        self.commits: dict[Partition, Commit] = {}
        self._partitions_of = partitions_of
        self._members: list[Member] = []
        self._changed = False
        self._rebalancing: asyncio.Task[None] | None = None

    def join(self, member: Member) -> None:
        """Take part from the rebalance on that begins now."""
        self._members.append(member)
        self.rebalance()

    def leave(self, member: Member) -> None:
        """Take part no more; the others get its partitions. A member that left already is let be."""
        if member in self._members:
            self._members.remove(member)
            self.rebalance()

    def rebalance(self) -> None:
        """Deal out anew, soon."""
        self._changed = True
        if self._members and (self._rebalancing is None or self._rebalancing.done()):
            self._rebalancing = asyncio.get_running_loop().create_task(self._deal_out())

    async def _deal_out(self) -> None:
        while self._changed:
            self._changed = False
            await asyncio.gather(*(member.revoke() for member in self._members))
            for member, partitions in self._shares():
                if not self._changed:
                    await member.assign(partitions)

    def _shares(self) -> Sequence[tuple[Member, Sequence[Partition]]]:
        shares: list[tuple[Member, list[Partition]]] = [(member, []) for member in self._members]
        for topic in sorted({topic for member in self._members for topic in member.topics}):
            readers = [share for member, share in shares if topic in member.topics]
            for number, partition in enumerate(self._partitions_of(topic)):
                readers[number % len(readers)].append(partition)
        return shares
