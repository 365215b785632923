"""The whole way from the log to the page, through faults: the second oracle of FAULTS.md."""

from __future__ import annotations

import asyncio

import pytest

from eventbridge.domain.routing import shard_of
from tests.integration.faults.bridges import running
from tests.integration.faults.oracle import Load, epochs, eventually, is_applied
from tests.integration.faults.rollbacks import ShardCopy
from tests.integration.faults.witness import witness
from tests.servers import RedisServer

SHARDS = 8


@pytest.fixture
def settings(settings: dict[str, str], own_redis: RedisServer) -> dict[str, str]:
    return settings | {"REDIS__URL": own_redis.url}


async def applied(load: Load, url: str) -> None:
    await eventually(lambda: is_applied(load, url, shards=SHARDS), "everything to be applied")


async def test_pages_that_are_cut_off_again_and_again_see_each_event_once_and_no_reset(
    load: Load, settings: dict[str, str], own_redis: RedisServer
) -> None:
    """Row 43 as well: with the pages, the gateway's own subscription is killed."""
    async with running(settings) as bridge, witness(own_redis.url, load.users) as pages:
        await bridge.until_ready()
        for _ in range(8):
            producing = asyncio.create_task(load.produce(100))
            await asyncio.to_thread(own_redis.command, "CLIENT", "KILL", "TYPE", "pubsub")
            pages.cut()
            await producing
        await applied(load, own_redis.url)

        await pages.saw_all()

        assert pages.resets.total() == 0
        assert min(seen.connects for seen in pages.seen) > 5


async def test_pages_of_a_shard_that_rolled_back_are_reset_and_no_other_and_nothing_is_missing(
    load: Load, settings: dict[str, str], own_redis: RedisServer
) -> None:
    """Rows 17 and 18: what the shard forgot was seen already, and comes again after the reset."""
    async with running(settings), witness(own_redis.url, load.users) as pages:
        await load.produce(300)
        await applied(load, own_redis.url)
        shard = shard_of(load.users[0], SHARDS)
        copy, before = ShardCopy(own_redis, shard), epochs(own_redis.url)
        await load.produce(300)
        await applied(load, own_redis.url)
        await pages.saw_all()
        untouched = pages.resets.total()

        await asyncio.to_thread(copy.restore)
        await load.produce(300)
        await applied(load, own_redis.url)
        await pages.saw_all()

        after = epochs(own_redis.url)
        of_the_shard = {user for user in load.users if shard_of(user, SHARDS) == shard}
        assert {one for one in range(SHARDS) if after[one] != before[one]} == {shard}
        assert untouched == 0
        assert pages.users_reset == of_the_shard


async def test_when_redis_comes_back_empty_every_page_is_reset_and_shows_what_is_there(
    load: Load, settings: dict[str, str], own_redis: RedisServer
) -> None:
    """Row 21."""
    async with (
        running(settings | {"ON_STATE_LOST": "earliest"}),
        witness(own_redis.url, load.users) as pages,
    ):
        await load.produce(400)
        await applied(load, own_redis.url)
        await pages.saw_all()

        producing = asyncio.create_task(load.produce(400))
        await asyncio.to_thread(own_redis.command, "FLUSHALL")
        await producing
        await applied(load, own_redis.url)
        await pages.saw_all()

        assert pages.users_reset == set(load.users)
