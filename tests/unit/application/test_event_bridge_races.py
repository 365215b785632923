"""The bridge where two things meet: a late answer and a new owner, a rollback and retention, an outage and a
refusal."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import pytest

from eventbridge.adapters.memory import MemoryEventSink
from eventbridge.adapters.system_clock import SystemClock
from eventbridge.application.errors import SinkMisconfigured
from eventbridge.domain.assignment import AssignmentPolicy, HaltReason, OnRetentionLoss
from eventbridge.domain.delivery import Answer, Batch, Mark, Partition, ShardPosition

from .bridge_under_test import TOPIC, BridgeUnderTest, eventually

P0 = Partition(TOPIC, 0)


class SlowSink(MemoryEventSink):
    """One call can be held up before its work is done; somebody can act just before positions are told."""

    def __init__(self, shards: int = 4) -> None:
        super().__init__(shards)
        self.hold_next_checkpoint = False
        self.held = asyncio.Event()
        self.release = asyncio.Event()
        self.released = asyncio.Event()
        self.before_positions: Callable[[], Awaitable[None]] | None = None

    async def apply(self, batch: Batch) -> Sequence[Answer]:
        if not self.hold_next_checkpoint or batch.shard or batch.entries:
            return await super().apply(batch)
        self.hold_next_checkpoint = False
        self.held.set()
        await self.release.wait()
        answers = await super().apply(batch)
        asyncio.get_running_loop().call_later(0.01, self.released.set)
        return answers

    async def positions(self, partitions: Sequence[Partition]) -> Mapping[Partition, Sequence[ShardPosition]]:
        if self.before_positions is not None:
            await self.before_positions()
        return await super().positions(partitions)


async def rebalanced(world: BridgeUnderTest) -> None:
    world.log.group("event-bridge").rebalance()
    await eventually(lambda: world.telemetry.counts["rebalances"] == 2)


async def cut_off_from_the_log(world: BridgeUnderTest) -> None:
    world.log.down = True
    await eventually(lambda: "0 are read" in world.bridge.health().checks[0].detail)
    world.log.down = False


class HastenedClock(SystemClock):
    """The system's clock, some seconds ahead."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


@pytest.mark.parametrize("interrupted", [rebalanced, cut_off_from_the_log])
async def test_a_late_answer_to_a_run_that_is_over_does_not_move_the_next_one(
    interrupted: Callable[[BridgeUnderTest], Awaitable[None]],
) -> None:
    sink = SlowSink()
    world = BridgeUnderTest(sink=sink, partitions=1, revoke_limit_seconds=0)

    async def read_nothing_yet() -> None:
        world.source.pause([P0])

    async with world.running():
        world.produce(10)
        await eventually(lambda: world.committed() == 10)
        early = [sink.snapshot(shard) for shard in range(4)]
        world.produce(10)
        await eventually(lambda: world.committed() == 20)
        later = sink.snapshot(0)
        world.produce(20)
        await eventually(lambda: world.committed() == 40)
        sink.hold_next_checkpoint = True
        await sink.held.wait()
        for shard, state in enumerate([later, *early[1:]]):
            sink.restore(shard, state)
        sink.before_positions = read_nothing_yet
        await interrupted(world)
        await eventually(lambda: world.source.lag(P0) == 30)

        sink.release.set()
        await sink.released.wait()
        world.source.resume([P0])

        await eventually(lambda: world.committed() == 40)
        await eventually(lambda: len(world.applied()) == 40, seconds=3)

    assert world.applied() == [(0, n) for n in range(40)]


async def test_a_sink_that_comes_back_refusing_halts_and_the_bridge_lives_on() -> None:
    world = BridgeUnderTest(partitions=1, drop_on_sink_failure=True)
    async with world.running():
        await eventually(lambda: world.source.lag(P0) == 0)
        world.sink.down = True
        await eventually(lambda: world.gate.is_open)

        world.sink.fail_next(SinkMisconfigured("authentication", "the password was changed"), times=3)
        world.sink.down = False
        await eventually(lambda: world.telemetry.halts.get(P0) == HaltReason.SINK_MISCONFIGURED)
        await eventually(lambda: world.telemetry.halts[P0] is None)
        world.produce(5)

        await eventually(lambda: world.committed() == 5)
        await eventually(lambda: len(world.applied()) == 5)


async def test_a_rollback_behind_the_beginning_of_the_log_is_declared_and_read_on() -> None:
    world = BridgeUnderTest(partitions=1, policy=AssignmentPolicy(on_retention_loss=OnRetentionLoss.CONTINUE))
    async with world.running():
        world.produce(10)
        await eventually(lambda: world.committed() == 10)
        early = [world.sink.snapshot(shard) for shard in range(4)]
        world.produce(20)
        await eventually(lambda: world.committed() == 30)
        world.log.trim(P0, 20)

        for shard in range(4):
            world.sink.restore(shard, early[shard])
        world.produce(5)

        await eventually(lambda: world.committed() == 35)
        await eventually(lambda: len(world.applied()) == 25, seconds=3)

    assert world.applied() == [(0, n) for n in [*range(10), *range(20, 35)]]
    assert world.telemetry.counts["dropped:retention"] == 10


async def test_a_batch_that_became_unreadable_after_it_was_applied_stops_nobody() -> None:
    first = BridgeUnderTest(partitions=1)
    first.produce(10)
    async with first.running():
        await eventually(lambda: first.committed() == 10)
    first.log.poison(P0, 9)
    first.produce(3)

    second = BridgeUnderTest(log=first.log, sink=first.sink)
    async with second.running():
        await eventually(lambda: second.committed() == 13)

    assert second.applied() == [(0, n) for n in range(13)]


async def test_an_owner_who_advances_while_we_open_makes_no_recreated_topic() -> None:
    sink = SlowSink()
    first = BridgeUnderTest(sink=sink, partitions=1)
    first.produce(10)
    async with first.running():
        await eventually(lambda: first.committed() == 10)
    second = BridgeUnderTest(log=first.log, sink=sink)

    async def old_owner_goes_on() -> None:
        sink.before_positions = None
        first.produce_raw(b"rejected")
        for shard in range(4):
            epoch = sink.snapshot(shard).epoch
            await sink.apply(Batch(shard, (Mark(P0, 9, 10, None, epoch),)))

    sink.before_positions = old_owner_goes_on
    async with second.running():
        await eventually(lambda: second.committed() == 11)

    assert second.telemetry.halts == {}


async def test_a_partition_that_nobody_gets_to_read_makes_the_bridge_not_ready() -> None:
    clock = HastenedClock()
    world = BridgeUnderTest(partitions=1, clock=clock)
    async with world.running():
        await eventually(lambda: world.committed() == 0)
        at_first = world.bridge.health().ready

        world.log.down = True
        await eventually(lambda: "0 are read" in world.bridge.health().checks[0].detail)
        clock.ahead = 31
        unread = world.bridge.health().ready
        world.log.down = False
        await eventually(lambda: world.bridge.health().ready)

    assert at_first
    assert not unread


async def test_a_stop_takes_no_longer_with_many_partitions_that_wait_for_the_sink() -> None:
    world = BridgeUnderTest(partitions=1)
    async with asyncio.timeout(15), world.running():
        await eventually(lambda: world.committed() == 0)
        world.sink.down = True
        await eventually(lambda: world.gate.is_open)
        world.log.create(TOPIC, 40)
        await eventually(lambda: world.telemetry.counts["rebalances"] == 2)
