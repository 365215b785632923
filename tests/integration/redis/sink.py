"""What the tests of the Redis sink say often."""

from collections.abc import Sequence
from typing import Any

from redis import Redis

from eventbridge.adapters.redis import keys
from eventbridge.adapters.redis.sse_service import RedisSSEService
from eventbridge.domain.delivery import Answer, Batch, Entry, Mark, Partition
from eventbridge.domain.routing import Target, shard_of, user

ORDERS = Partition("orders", 0)
TARGETS = [user(f"00000000-0000-4000-8000-{n:012}") for n in range(50)]


def entry(offset: int, target: Target = TARGETS[0], data: bytes | None = None) -> Entry:
    return Entry(offset, target, "Genesis.Session.Updated", data or b'{"n":%d}' % offset, 1_000 + offset)


def batch(
    previous: int | None, upto: int, *entries: Entry, shard: int = 0, epoch: str | None = None
) -> Batch:
    return Batch(shard, (Mark(ORDERS, previous, upto, None, epoch),), entries)


async def apply(sink: RedisSSEService, call: Batch) -> Answer:
    [answer] = await sink.apply(call)
    return answer


async def begin(sink: RedisSSEService) -> None:
    """Initialise the partition in every shard, so that offset 0 is the next."""
    for shard in range(sink.shards):
        await apply(sink, batch(None, -1, shard=shard))


def offsets(url: str, target: Target = TARGETS[0], shards: int = 1) -> Sequence[int]:
    """What lies in the target's stream, told by the data of `entry`."""
    client: Any = Redis.from_url(url, protocol=2)
    with client:
        found = client.xrange(keys.stream(shard_of(target.id, shards), target))
    return [int(fields[b"data"][5:-1]) for _, fields in found]
