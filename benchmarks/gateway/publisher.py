"""Publishes as the bridge does: calls of the sink, a shard each, with as many entries as are due.

Takes commands as lines of JSON and answers each with one line, once it is done:

    {"users": [first, last], "each", "rate", "per_call"}    a rate of 0 is as fast as possible

Each user gets `each` events, numbered on from the user's last one, stamped when the sink is called.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from benchmarks.gateway.events import EVENT_TYPE, data, users
from benchmarks.plain_relay import fastest_loop
from eventbridge.adapters.redis.settings import RedisSettings
from eventbridge.adapters.redis.sse_service import RedisSSEService
from eventbridge.domain.delivery import Applied, Batch, Entry, Mark, Partition
from eventbridge.domain.routing import Target, shard_of, user

_PARTITION = Partition("bench", 0)
_USERS = 20_000


class Publisher:
    """Knows each user's last number, and each shard's last offset and call."""

    def __init__(self, sink: RedisSSEService) -> None:
        self._sink = sink
        self._targets = [user(name) for name in users(_USERS)]
        self._numbers = dict.fromkeys(self._targets, 0)
        self._offsets = [-1] * sink.shards
        self._calls: list[asyncio.Task[None] | None] = [None] * sink.shards

    async def begin(self) -> None:
        """Make the shards know the partition, as the bridge does when it is given it."""
        for shard in range(self._sink.shards):
            await self._sink.apply(Batch(shard, (Mark(_PARTITION, None, -1),)))

    async def publish(
        self, first: int, last: int, *, each: int, rate: float, per_call: int
    ) -> dict[str, float]:
        """Publish; answers what was done. Raises RuntimeError where an event was not appended."""
        # Found out before the first call: it would hold the calls up, and let them come in a burst then.
        portions = list(self._portions(self._targets[first:last], per_call))
        began, sent = time.monotonic(), 0
        for _ in range(each):
            for shard, some in portions:
                if rate and (ahead := began + sent / rate - time.monotonic()) > 0:
                    await asyncio.sleep(ahead)
                before = self._calls[shard]
                if before is not None:
                    await before
                self._calls[shard] = asyncio.create_task(self._call(shard, some))
                sent += len(some)
        for call in self._calls:
            if call is not None:
                await call
        return {"events": sent, "seconds": time.monotonic() - began}

    async def _call(self, shard: int, targets: Sequence[Target]) -> None:
        previous = self._offsets[shard]
        upto = self._offsets[shard] = previous + len(targets)
        milliseconds, at = int(time.time() * 1000), time.monotonic_ns()
        entries = []
        for offset, target in enumerate(targets, previous + 1):
            number = self._numbers[target] = self._numbers[target] + 1
            entries.append(Entry(offset, target, EVENT_TYPE, data(at, number), milliseconds))
        mark = Mark(_PARTITION, previous, upto, milliseconds)
        (answer,) = await self._sink.apply(Batch(shard, (mark,), entries))
        if not isinstance(answer, Applied) or answer.appended != len(targets):
            raise RuntimeError(f"shard {shard} answered {answer}")

    def _portions(self, targets: Sequence[Target], per_call: int) -> Iterator[tuple[int, Sequence[Target]]]:
        """Parts of one shard each, the shards in turn."""
        shards = [
            [target for target in targets if shard_of(target.id, self._sink.shards) == shard]
            for shard in range(self._sink.shards)
        ]
        rounds = [
            [(shard, own[at : at + per_call]) for at in range(0, len(own), per_call)]
            for shard, own in enumerate(shards)
        ]
        for together in zip_longest(*rounds):
            yield from (each for each in together if each is not None)


async def main(redis_url: str) -> None:
    """Serve commands until there are no more."""
    loop = asyncio.get_running_loop()
    async with RedisSSEService(RedisSettings(url=redis_url), "bench") as sink:
        publisher = Publisher(sink)
        await publisher.begin()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            command = json.loads(line)
            first, last = command.pop("users")
            print(json.dumps(await publisher.publish(first, last, **command)), flush=True)


if __name__ == "__main__":
    gc.disable()  # as in the audience
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        runner.run(main(sys.argv[1]))
