"""The bridge as a whole, between a log and a sink in memory: the same code that runs on Kafka and Redis."""

import asyncio

from eventbridge.adapters.memory.shard import EMPTY
from eventbridge.application.errors import SinkMisconfigured
from eventbridge.domain.assignment import AssignmentPolicy, HaltReason, OnRetentionLoss, OnStateLost
from eventbridge.domain.delivery import Partition
from eventbridge.domain.routing import user

from .bridge_under_test import TOPIC, USERS, BridgeUnderTest, eventually

P0 = Partition(TOPIC, 0)


async def test_event_bridge_processes_valid_events() -> None:
    world = BridgeUnderTest()
    world.produce(20, partition=0)
    world.produce(10, partition=1)

    async with world.running():
        await eventually(lambda: len(world.applied()) == 30)

    assert world.applied() == [(0, n) for n in range(20)] + [(1, n) for n in range(10)]
    assert set(world.streams()) == set(USERS)
    assert world.streams()[USERS[1]][:2] == [(0, 1), (0, 6)]
    assert world.telemetry.counts["published"] == 30
    assert world.telemetry.counts["duplicates"] == 0


async def test_filtered_and_rejected_records_move_on_like_others() -> None:
    world = BridgeUnderTest()
    world.produce(2)
    world.produce(3, event_type="Genesis.Session.Internal.Rated")
    bad = world.produce_raw(b"no json")
    world.produce(1)

    async with world.running():
        await eventually(lambda: world.committed() == 7)

    assert world.applied() == [(0, 0), (0, 1), (0, 6)]
    assert [(letter.record.offset, letter.reason) for letter in world.dead_letters.kept] == [
        (bad, "not_json")
    ]
    assert world.telemetry.counts["filtered"] == 3


async def test_event_bridge_commits_offsets_in_batches() -> None:
    world = BridgeUnderTest(partitions=1, commit_batch_size=1000, commit_interval_seconds=3600)
    async with world.running():
        await eventually(lambda: world.committed() == 0)
        before = world.telemetry.counts["commits"]

        world.produce(2500)
        await eventually(lambda: world.committed() == 2500)
        by_size = world.telemetry.counts["commits"] - before
        world.produce(10)
        await eventually(lambda: len(world.applied()) == 2510)
        kept_back = world.committed()

    assert 1 <= by_size <= 3
    assert kept_back == 2500
    assert world.committed() == 2510


async def test_offsets_are_committed_by_time_where_there_are_few() -> None:
    world = BridgeUnderTest(commit_batch_size=1000, commit_interval_seconds=0.05)

    async with world.running():
        world.produce(3)
        await eventually(lambda: world.committed() == 3)

    assert world.applied() == [(0, 0), (0, 1), (0, 2)]


async def test_event_bridge_degrades_gracefully_on_sink_failure_and_catches_up() -> None:
    world = BridgeUnderTest()
    async with world.running():
        world.produce(5)
        await eventually(lambda: len(world.applied()) == 5)

        world.sink.down = True
        world.produce(50)
        await eventually(lambda: "open" in world.telemetry.circuits)
        report = world.bridge.health()
        applied_meanwhile = len(world.applied())
        world.sink.down = False
        await eventually(lambda: len(world.applied()) == 55)

    assert not report.ready
    assert applied_meanwhile == 5
    assert world.applied() == [(0, n) for n in range(55)]
    assert world.telemetry.circuits[-1] == "closed"


async def test_circuit_breaker_consumer_pause_resume() -> None:
    world = BridgeUnderTest()
    async with world.running():
        world.produce(5)
        await eventually(lambda: len(world.applied()) == 5)

        world.sink.down = True
        await eventually(lambda: world.source.paused == {P0, Partition(TOPIC, 1)})
        world.log.create(TOPIC, 3)
        await eventually(lambda: Partition(TOPIC, 2) in world.source.paused)
        world.sink.down = False
        await eventually(lambda: world.source.paused == set())
        world.produce(1, partition=2)
        await eventually(lambda: (2, 0) in world.applied())


async def test_the_lag_is_seen_to_grow_while_the_circuit_is_open() -> None:
    world = BridgeUnderTest(partitions=1)
    async with world.running():
        await eventually(lambda: world.source.lag(P0) == 0)
        world.sink.down = True
        await eventually(lambda: world.gate.is_open)

        world.produce(70)

        await eventually(lambda: world.telemetry.lags.get(P0) == 70)
        world.sink.down = False
        await eventually(lambda: world.telemetry.lags.get(P0) == 0)


async def test_a_sink_that_recovers_closes_the_circuit_without_traffic() -> None:
    world = BridgeUnderTest()
    async with world.running():
        await eventually(lambda: world.committed() == 0)
        world.sink.down = True
        await eventually(lambda: world.gate.is_open)

        world.sink.down = False

        await eventually(lambda: not world.gate.is_open)


async def test_a_lost_reply_appends_nothing_twice() -> None:
    world = BridgeUnderTest(partitions=1)
    async with world.running():
        await eventually(lambda: world.committed() == 0)
        world.sink.lose_next_reply(times=3)

        world.produce(10)
        await eventually(lambda: world.committed() == 10)

    assert world.applied() == [(0, n) for n in range(10)]


async def test_after_a_crash_the_next_bridge_goes_on_from_the_watermarks() -> None:
    first = BridgeUnderTest(commit_interval_seconds=3600)
    async with first.crashing():
        first.produce(100)
        await eventually(lambda: len(first.applied()) >= 50)

    second = BridgeUnderTest(log=first.log, sink=first.sink)
    async with second.running():
        await eventually(lambda: second.committed() == 100)

    assert second.applied() == [(0, n) for n in range(100)]


async def test_a_rollback_under_way_is_repaired() -> None:
    world = BridgeUnderTest(partitions=1)
    async with world.running():
        world.produce(20)
        await eventually(lambda: world.committed() == 20)
        early = [world.sink.snapshot(shard) for shard in range(4)]
        world.produce(20)
        await eventually(lambda: world.committed() == 40)

        for shard in (0, 1, 3):
            world.sink.restore(shard, early[shard])
        world.produce(20)
        await eventually(lambda: world.applied() == [(0, n) for n in range(60)])

    in_order = all(places == sorted(places) for places in world.streams().values())
    assert in_order


async def test_a_rollback_without_any_traffic_is_repaired_by_the_checkpoint() -> None:
    world = BridgeUnderTest(partitions=1)
    async with world.running():
        world.produce(20)
        await eventually(lambda: world.committed() == 20)
        early = [world.sink.snapshot(shard) for shard in range(4)]
        world.produce(20)
        await eventually(lambda: world.committed() == 40)

        for shard in range(4):
            world.sink.restore(shard, early[shard])

        await eventually(lambda: world.applied() == [(0, n) for n in range(40)])


async def test_a_sink_that_forgot_a_partition_halts_it_until_the_policy_says_otherwise() -> None:
    world = BridgeUnderTest(partitions=1)
    async with world.running():
        world.produce(10)
        await eventually(lambda: world.committed() == 10)
        for shard in range(4):
            world.sink.restore(shard, EMPTY)
        await eventually(lambda: world.telemetry.halts.get(P0) == HaltReason.STATE_LOST)
        report = world.bridge.health()
    assert not report.ready
    assert any("STATE_LOST" in check.detail for check in report.checks)

    again = BridgeUnderTest(
        log=world.log, sink=world.sink, policy=AssignmentPolicy(on_state_lost=OnStateLost.EARLIEST)
    )
    async with again.running():
        await eventually(lambda: again.applied() == [(0, n) for n in range(10)])


async def test_a_recreated_topic_is_not_silently_filtered() -> None:
    world = BridgeUnderTest(partitions=1)
    world.produce(10)
    async with world.running():
        await eventually(lambda: world.committed() == 10)

    world.log.recreate(TOPIC)
    world.produce(3)
    again = BridgeUnderTest(log=world.log, sink=world.sink)
    async with again.running():
        await eventually(lambda: again.telemetry.halts.get(P0) == HaltReason.SOURCE_REWOUND)

    assert again.applied() == [(0, n) for n in range(10)]


async def test_a_recreated_topic_is_recognised_where_the_watermarks_lie_on_no_record() -> None:
    world = BridgeUnderTest(partitions=1)
    world.produce(10)
    world.log.skip(P0, 2)
    async with world.running():
        await eventually(lambda: world.committed() == 12)
    world.log.skip(P0, 3)
    later = BridgeUnderTest(log=world.log, sink=world.sink)
    async with later.running():
        await eventually(lambda: later.committed() == 15)

    world.log.recreate(TOPIC)
    world.log.group("event-bridge").commits.clear()
    for n in range(30):
        world.log.append(P0, None, timestamp=1_000 + n)
    again = BridgeUnderTest(log=world.log, sink=world.sink)
    async with again.running():
        await eventually(lambda: again.telemetry.halts.get(P0) == HaltReason.SOURCE_REWOUND)

    assert again.applied() == [(0, n) for n in range(10)]


async def test_what_retention_took_is_counted_and_the_policy_obeyed() -> None:
    world = BridgeUnderTest(partitions=1)
    world.produce(10)
    async with world.running():
        await eventually(lambda: world.committed() == 10)
    world.produce(10)
    world.log.trim(P0, 15)

    stopping = BridgeUnderTest(log=world.log, sink=world.sink)
    async with stopping.running():
        await eventually(lambda: stopping.telemetry.halts.get(P0) == HaltReason.RETENTION_LOSS)
    going_on = BridgeUnderTest(
        log=world.log, sink=world.sink, policy=AssignmentPolicy(on_retention_loss=OnRetentionLoss.CONTINUE)
    )
    async with going_on.running():
        await eventually(lambda: going_on.committed() == 20)

    assert going_on.applied() == [(0, n) for n in [*range(10), *range(15, 20)]]
    assert going_on.telemetry.counts["dropped:retention"] == 5


async def test_retention_that_overtakes_a_run_is_counted_too() -> None:
    world = BridgeUnderTest(partitions=1, policy=AssignmentPolicy(on_retention_loss=OnRetentionLoss.CONTINUE))
    async with world.running():
        world.produce(10)
        await eventually(lambda: world.committed() == 10)
        world.source.pause([P0])
        world.produce(20)
        world.log.trim(P0, 25)

        world.source.resume([P0])
        await eventually(lambda: world.committed() == 30)

    assert world.applied() == [(0, n) for n in [*range(10), *range(25, 30)]]
    assert world.telemetry.counts["dropped:retention"] == 15


async def test_a_stream_of_the_wrong_type_costs_only_its_own_event() -> None:
    world = BridgeUnderTest(partitions=1)
    world.sink.occupy(user(USERS[2]))
    world.produce(10)

    async with world.running():
        await eventually(lambda: world.committed() == 10)

    assert world.applied() == [(0, n) for n in range(10) if n not in (2, 7)]
    assert [letter.record.offset for letter in world.dead_letters.kept] == [2, 7]


async def test_nothing_is_skipped_while_the_dead_letters_are_away() -> None:
    world = BridgeUnderTest(partitions=2)
    world.dead_letters.down = True
    world.produce_raw(b"{", partition=0)
    world.produce(5, partition=0)
    world.produce(5, partition=1)
    async with world.running():
        await eventually(lambda: world.committed(1) == 5)
        skipped = [place for place in world.applied() if place[0] == 0]
        world.dead_letters.down = False
        await eventually(lambda: world.committed(0) == 6)

    assert skipped == []
    assert len(world.dead_letters.kept) == 1


async def test_a_poisoned_partition_is_isolated_and_looked_at_again() -> None:
    world = BridgeUnderTest(partitions=2)
    world.produce(5, partition=0)
    world.produce(5, partition=1)
    world.log.poison(P0, 2)
    async with world.running():
        await eventually(lambda: world.telemetry.halts.get(P0) == HaltReason.POISONED)
        await eventually(lambda: world.committed(1) == 5)

        world.log.poison(P0, None)

        await eventually(lambda: world.committed(0) == 5)
        await eventually(lambda: world.telemetry.halts[P0] is None)


async def test_a_refusing_sink_halts_with_the_reason_and_opens_nothing() -> None:
    world = BridgeUnderTest(partitions=1)
    async with world.running():
        await eventually(lambda: world.committed() == 0)
        world.sink.fail_next(SinkMisconfigured("rights", "no permission for XADD"), times=2)

        await eventually(lambda: P0 in world.telemetry.halts)
        await eventually(lambda: world.telemetry.halts[P0] is None)
        world.produce(3)
        await eventually(lambda: world.committed() == 3)

    assert world.telemetry.circuits == []


async def test_drop_passes_announced_ranges_and_nothing_else() -> None:
    world = BridgeUnderTest(partitions=1, drop_on_sink_failure=True)
    async with world.running():
        world.produce(10)
        await eventually(lambda: world.committed() == 10)
        world.sink.down = True
        await eventually(lambda: world.gate.is_open)
        world.produce(100)
        await eventually(lambda: world.telemetry.counts["dropped:policy"] >= 100)
        world.sink.down = False
        await eventually(lambda: not world.gate.is_open)
        world.produce(10)
        await eventually(lambda: world.committed() == 120)

    assert world.applied() == [(0, n) for n in [*range(10), *range(110, 120)]]
    assert world.telemetry.counts["dropped:policy"] == 100


async def test_two_bridges_share_the_partitions_and_hand_them_over() -> None:
    first = BridgeUnderTest(partitions=4)
    second = BridgeUnderTest(log=first.log, sink=first.sink)
    async with first.running():
        for partition in range(4):
            first.produce(50, partition)
        await eventually(lambda: len(first.applied()) >= 20)
        async with second.running():
            for partition in range(4):
                first.produce(50, partition)
            await eventually(lambda: len(first.applied()) == 400)
        for partition in range(4):
            first.produce(10, partition)
        await eventually(lambda: len(first.applied()) == 440)

    assert first.applied() == [(p, n) for p in range(4) for n in range(110)]


async def test_a_stop_while_the_sink_is_away_is_bounded_and_loses_nothing() -> None:
    world = BridgeUnderTest(partitions=1)
    async with asyncio.timeout(10), world.running():
        await eventually(lambda: world.committed() == 0)
        world.sink.down = True
        world.produce(10)
        await eventually(lambda: world.gate.is_open)

    world.sink.down = False
    again = BridgeUnderTest(log=world.log, sink=world.sink)
    async with again.running():
        await eventually(lambda: again.committed() == 10)

    assert again.applied() == [(0, n) for n in range(10)]
