"""A sink in this process, with everything that a sink with memory promises."""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence

from ...application.errors import SinkUnavailable
from ...application.ports import Clock
from ...domain.delivery import Answer, Batch, Partition, ShardPosition
from ...domain.errors import EventBridgeError
from ...domain.message import SSEMessage
from ...domain.routing import Target, shard_of, user
from .clock import ManualClock
from .shard import EMPTY, MemoryShard, ShardState, StreamEntry


class MemoryEventSink:
    """The `EventSink` port over `MemoryShard`s (DELIVERY.md 3 and 4.3).

    For tests: `down`, `fail_next` and `lose_next_reply` inject failures; `snapshot` and `restore` roll
    one shard back. Each call yields to others before and after its work, where a real one waits. The
    ids follow `clock`; without one it stands still and the sequence counts.
    """

    def __init__(
        self,
        shards: int = 8,
        *,
        clock: Clock | None = None,
        spare_epoch: Callable[[], str] = lambda: secrets.token_hex(4),
    ) -> None:
        self.shards = shards
        self.down = False
        """While true every call raises `SinkUnavailable`, and nothing is written."""
        self.calls: list[Batch] = []
        """Every batch that was offered, also those that failed."""
        self.on_change: Callable[[int], None] = lambda _: None
        """Called with the shard after each call that reached it, before its reply."""
        self._clock = clock or ManualClock()
        self._spare_epoch = spare_epoch
        self._shards = [MemoryShard() for _ in range(shards)]
        self._failures: list[tuple[EventBridgeError, bool]] = []

    def fail_next(self, error: EventBridgeError | None = None, *, times: int = 1) -> None:
        """Let the next calls raise (by default `SinkUnavailable`) and write nothing."""
        self._failures += [(error or SinkUnavailable("connection"), False)] * times

    def lose_next_reply(self, *, times: int = 1) -> None:
        """Let the next calls do their work and raise `SinkUnavailable` all the same."""
        self._failures += [(SinkUnavailable("timeout"), True)] * times

    async def positions(self, partitions: Sequence[Partition]) -> Mapping[Partition, Sequence[ShardPosition]]:
        """What was applied of these partitions, an item per shard."""
        await asyncio.sleep(0)
        reply_lost = self._call()
        if reply_lost:
            raise reply_lost
        return {
            partition: tuple(shard.position(partition) for shard in self._shards) for partition in partitions
        }

    async def apply(self, batch: Batch) -> Sequence[Answer]:
        """Append and move the watermarks; an answer per mark."""
        await asyncio.sleep(0)
        self.calls.append(batch)
        reply_lost = self._call()
        shard = self._shards[batch.shard]
        shard.clock_ms = self._clock.now_ms()
        answers = shard.apply(batch, self._spare_epoch())
        self.on_change(batch.shard)
        await asyncio.sleep(0)
        if reply_lost:
            raise reply_lost
        return answers

    async def publish_event(self, user_id: str, message: SSEMessage) -> str:
        """Append one message that has no source position; answers its position, `<epoch>.<id>`."""
        await asyncio.sleep(0)
        reply_lost = self._call()
        target = user(user_id)
        shard = self._shards[shard_of(target.id, self.shards)]
        shard.clock_ms = self._clock.now_ms()
        identity = shard.append(target, message.event, message.data, self._spare_epoch())
        self.on_change(shard_of(target.id, self.shards))
        await asyncio.sleep(0)
        if reply_lost:
            raise reply_lost
        return f"{shard.epoch}.{identity}"

    def stream(self, target: Target) -> Sequence[StreamEntry]:
        """The target's entries, oldest first."""
        return self._shards[shard_of(target.id, self.shards)].stream(target)

    def streams(self) -> Mapping[Target, Sequence[StreamEntry]]:
        """Every target that has entries, with them."""
        return {target: entries for shard in self._shards for target, entries in shard.streams()}

    def snapshot(self, shard: int) -> ShardState:
        """The shard as it is now, for `restore`."""
        return self._shards[shard].snapshot()

    def restore(self, shard: int, state: ShardState = EMPTY) -> None:
        """Roll the shard back to a snapshot, or empty it."""
        self._shards[shard].restore(state)

    def occupy(self, target: Target) -> None:
        """Put something that is no stream in the target's place."""
        self._shards[shard_of(target.id, self.shards)].occupy(target)

    def free(self, target: Target) -> None:
        """Take away what `occupy` put there."""
        self._shards[shard_of(target.id, self.shards)].free(target)

    def _call(self) -> EventBridgeError | None:
        """Fail as was ordered before the work; answers what to raise after it."""
        if self.down:
            raise SinkUnavailable("connection", "it was taken down")
        if not self._failures:
            return None
        error, after_the_work = self._failures.pop(0)
        if not after_the_work:
            raise error
        return error
