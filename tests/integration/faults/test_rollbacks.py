"""Redis forgets what it had acknowledged (FAULTS.md 17 to 21)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.integration.faults.bridges import running
from tests.integration.faults.oracle import (
    EXACT,
    Load,
    assert_exact,
    epochs,
    eventually,
    is_applied,
    judge,
    streams,
    watermarks,
)
from tests.integration.faults.rollbacks import ShardCopy, log_of, lose_what_came_after
from tests.integration.faults.test_crashes import OTHER_BATCHES, killed
from tests.servers import RedisServer
from tests.servers.proxy import RedisProxy

NewRedis = Callable[..., RedisServer]
SHARDS = 8


@pytest.fixture
def settings(settings: dict[str, str], own_redis: RedisServer) -> dict[str, str]:
    return settings | {"REDIS__URL": own_redis.url}


@pytest.fixture
def replica(redis_server: NewRedis, own_redis: RedisServer) -> RedisServer:
    return redis_server(replica_of=own_redis)


async def applied(load: Load, url: str) -> None:
    await eventually(lambda: is_applied(load, url, shards=SHARDS), "everything to be applied")


async def test_a_power_failure_that_takes_the_last_second_is_repaired(
    load: Load, settings: dict[str, str], redis_server: NewRedis
) -> None:
    redis = redis_server(appendonly=True, appendfsync="everysec")
    async with running(settings | {"REDIS__URL": redis.url}):
        await load.produce(600)
        await applied(load, redis.url)
        on_disk, before = log_of(redis).stat().st_size, epochs(redis.url)
        await load.produce(600)
        await applied(load, redis.url)

        await asyncio.to_thread(lose_what_came_after, redis, on_disk)
        await load.produce(300)

        await assert_exact(load, redis.url)
        after = epochs(redis.url)
        assert all(after[shard] != before[shard] for shard in range(SHARDS))


async def test_two_shards_that_roll_back_to_different_points_are_repaired(
    load: Load, settings: dict[str, str], own_redis: RedisServer
) -> None:
    async with running(settings):
        await load.produce(600)
        await applied(load, own_redis.url)
        first = ShardCopy(own_redis, 1)
        await load.produce(600)
        await applied(load, own_redis.url)
        second, before = ShardCopy(own_redis, 2), epochs(own_redis.url)
        producing = asyncio.create_task(load.produce(1500))
        await eventually(
            lambda: sum(watermarks(own_redis.url, load.topic).values()) > 8 * 1500, "some of the rest"
        )

        first.restore()
        second.restore()
        await producing

        await assert_exact(load, own_redis.url)
        after = epochs(own_redis.url)
        assert {shard for shard in range(SHARDS) if after[shard] != before[shard]} == {1, 2}


@pytest.mark.parametrize("produced_meanwhile", [300, 0])
async def test_a_crash_between_two_calls_and_then_a_rollback_are_repaired(
    load: Load, settings: dict[str, str], own_redis: RedisServer, produced_meanwhile: int
) -> None:
    settings |= {"KAFKA__INSTANCE_ID": "bridge-1"}
    async with running(settings):
        await load.produce(300)
        await applied(load, own_redis.url)
        copies = [ShardCopy(own_redis, 1)]
        await load.produce(300)
        await applied(load, own_redis.url)
        copies.append(ShardCopy(own_redis, 2))
    await load.produce(300)

    await killed(settings, "between appends", 3)
    for copy in copies:
        copy.restore()
    await load.produce(produced_meanwhile)

    async with running(settings | OTHER_BATCHES):
        await assert_exact(load, own_redis.url)


async def test_a_rollback_of_what_was_rolled_back_before_is_repaired(
    load: Load, settings: dict[str, str], own_redis: RedisServer
) -> None:
    """The second one undoes the change of epoch that the first one brought."""
    async with running(settings):
        await load.produce(400)
        await applied(load, own_redis.url)
        copies = [ShardCopy(own_redis, shard) for shard in (1, 2, 3)]
        for _ in range(3):
            await load.produce(400)
            await applied(load, own_redis.url)
            for copy in copies:
                copy.restore()

        await assert_exact(load, own_redis.url)


@pytest.mark.parametrize("when", ["under load", "in silence", "while no bridge runs"])
async def test_a_stale_replica_that_is_promoted_is_repaired(
    load: Load, settings: dict[str, str], proxy: RedisProxy, replica: RedisServer, when: str
) -> None:
    primary = settings["REDIS__URL"]
    settings |= {"REDIS__URL": proxy.url}
    async with running(settings) as bridge:
        await load.produce(600)
        await applied(load, primary)
        await eventually(lambda: is_applied(load, replica.url, shards=SHARDS), "the replica to be there")
        replica.command("REPLICAOF", "NO", "ONE")
        before = epochs(replica.url)
        await load.produce(600)
        await applied(load, primary)
        if when == "while no bridge runs":
            await bridge.stop()
        elif when == "under load":
            await load.produce(600)
        proxy.lead_to(replica.port)
        if not bridge.task.done():
            await assert_exact(load, replica.url)

    if when == "while no bridge runs":
        async with running(settings | OTHER_BATCHES):
            await assert_exact(load, replica.url)

    after = epochs(replica.url)
    assert all(after[shard] != before[shard] for shard in range(SHARDS))


async def test_a_redis_that_comes_back_empty_halts_every_partition(
    load: Load, settings: dict[str, str], own_redis: RedisServer
) -> None:
    async with running(settings) as bridge:
        await load.produce(600)
        await applied(load, own_redis.url)
        producing = asyncio.create_task(load.produce(1500))
        await bridge.until("events_published_total", 900)

        own_redis.command("FLUSHALL")
        await producing
        await bridge.until("partitions_halted", 4, reason="STATE_LOST")

        assert not bridge.bridge.health().ready
        assert streams(own_redis.url) == {}
        assert watermarks(own_redis.url, load.topic) == {}


async def test_a_redis_that_comes_back_empty_is_filled_again_from_the_start(
    load: Load, settings: dict[str, str], own_redis: RedisServer
) -> None:
    async with running(settings | {"ON_STATE_LOST": "earliest"}) as bridge:
        await load.produce(600)
        await applied(load, own_redis.url)
        producing = asyncio.create_task(load.produce(1500))
        await bridge.until("events_published_total", 900)
        before = epochs(own_redis.url)

        own_redis.command("FLUSHALL")
        await producing

        await assert_exact(load, own_redis.url)
        after = epochs(own_redis.url)
        assert all(after[shard] != before[shard] for shard in range(SHARDS))


async def test_a_redis_that_comes_back_empty_is_filled_again_from_the_commit(
    load: Load, settings: dict[str, str], own_redis: RedisServer
) -> None:
    committing = settings | {"ON_STATE_LOST": "committed"}
    async with running(committing):
        await load.produce(600)
        await applied(load, own_redis.url)
    # It committed as it stopped.
    async with running(committing) as bridge:
        producing = asyncio.create_task(load.produce(1500))
        await bridge.until("events_published_total", 300)

        own_redis.command("FLUSHALL")
        await producing
        await load.produce(100)

        await applied(load, own_redis.url)
        verdict = judge(load, own_redis.url)
        lost = dict.fromkeys(load.partitions, -1)
        for user, (partition, number) in verdict.missing:
            lost[partition] = max(lost[partition], load.offsets[user, (partition, number)])
        passed = {whose for whose, offset in load.offsets.items() if offset <= lost[whose[1][0]]}
        assert verdict.but_for_missing == EXACT, str(verdict)
        # What is gone is what lay before one offset of each partition: nothing after it is missing.
        assert verdict.missing == passed
        assert 0 < len(verdict.missing) < load.accepted
