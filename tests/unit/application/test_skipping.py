"""An operator passes over what nobody can read; everything else stays exact."""

import pytest

from eventbridge.application.skipping import CannotSkip, skip
from eventbridge.domain.assignment import HaltReason
from eventbridge.domain.delivery import Partition

from .bridge_under_test import TOPIC, BridgeUnderTest, eventually

P0 = Partition(TOPIC, 0)


async def test_a_halted_partition_goes_on_behind_what_was_skipped() -> None:
    world = BridgeUnderTest(partitions=1)
    world.produce(10)
    world.log.poison(P0, 4)
    async with world.running():
        await eventually(lambda: world.telemetry.halts.get(P0) == HaltReason.POISONED)

        passed = await skip(world.sink, P0, 5)

        await eventually(lambda: world.committed() == 10)

    assert set(passed) >= {4, 5}
    assert passed.stop == 6
    assert world.applied() == [(0, n) for n in (0, 1, 2, 3, 6, 7, 8, 9)]


async def test_what_was_never_read_or_is_applied_cannot_be_skipped() -> None:
    world = BridgeUnderTest(partitions=1)
    with pytest.raises(CannotSkip, match="never read"):
        await skip(world.sink, P0, 5)
    world.produce(10)
    async with world.running():
        await eventually(lambda: world.committed() == 10)

    with pytest.raises(CannotSkip, match="up to offset 9 already"):
        await skip(world.sink, P0, 9)


async def test_the_last_record_before_what_was_skipped_still_tells_the_log_from_another() -> None:
    world = BridgeUnderTest(partitions=1)
    world.produce(5)
    async with world.running():
        await eventually(lambda: world.committed() == 5)

    await skip(world.sink, P0, 9)

    known = (await world.sink.positions((P0,)))[P0]
    assert {(shard.watermark, shard.timestamp, shard.proof) for shard in known} == {(9, 4, 4)}
