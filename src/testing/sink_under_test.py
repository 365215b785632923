"""What is needed to hold a sink against its contract, and the entries that the suites play."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from ..application.ports import EventSink
from ..domain.delivery import Answer, Applied, Batch, Entry, Mark, Partition, ShardPosition
from ..domain.routing import Target, shard_of, user


class StoredEvent(msgspec.Struct, frozen=True):
    """One event as it arrived."""

    event: str
    data: bytes


class SinkUnderTest(Protocol):
    """A sink without any content, and a way to see what arrived that does not go through it."""

    sink: EventSink

    async def stored(self, target: Target) -> Sequence[StoredEvent]:
        """Everything that arrived for the target, oldest first."""


class OccupiableSink(SinkUnderTest, Protocol):
    """A sink in which a target's place can be taken by something else."""

    async def occupy(self, target: Target) -> None:
        """Replace what is stored for the target with something that nothing can be appended to."""


ORDERS = Partition("orders", 0)
PAYMENTS = Partition("payments", 3)
NEVER_SEEN = Partition("never-seen", 0)


def targets_in(shard: int, shards: int, count: int = 1) -> Sequence[Target]:
    """The first users, by number, whose streams lie in this shard."""
    found: list[Target] = []
    number = 0
    while len(found) < count:
        number += 1
        target = user(str(UUID(int=number)))
        if shard_of(target.id, shards) == shard:
            found.append(target)
    return found


def entry(offset: int, target: Target, data: bytes | None = None) -> Entry:
    """An entry that can be told from every other by its data."""
    return Entry(
        offset=offset,
        target=target,
        event="Genesis.Session.Started",
        data=b'{"n":%d}' % offset if data is None else data,
        timestamp=1_700_000_000_000 + offset,
    )


def stored(entries: Sequence[Entry]) -> Sequence[StoredEvent]:
    """How these entries arrive."""
    return [StoredEvent(event=entry.event, data=entry.data) for entry in entries]


async def call(sink: EventSink, shard: int, mark: Mark, *entries: Entry) -> Answer:
    """One call with one mark; its answer."""
    (answer,) = await sink.apply(Batch(shard=shard, marks=(mark,), entries=entries))
    return answer


async def begin(sink: EventSink, partition: Partition, shard: int, *, epoch: str | None = None) -> Applied:
    """Initialise the partition in the shard, so that offset 0 is the next."""
    answer = await call(sink, shard, Mark(partition=partition, previous=None, upto=-1, epoch=epoch))
    assert isinstance(answer, Applied), f"an initialisation was answered {answer!r}"
    return answer


async def position(sink: EventSink, partition: Partition, shard: int) -> ShardPosition:
    """What the shard knows of the partition."""
    known = await sink.positions([partition])
    assert known is not None, "a sink with memory answers positions"
    return known[partition][shard]
