"""Mishaps one upon the other, in an order that a number decides (FAULTS.md, all of Redis' at once)."""

from __future__ import annotations

import random

import pytest

from tests.integration.faults.bridges import BridgeUnderTest, begun, running
from tests.integration.faults.oracle import Load, assert_exact, eventually, is_applied
from tests.integration.faults.rollbacks import ShardCopy
from tests.servers import RedisServer
from tests.servers.proxy import RedisProxy, is_append, is_script

STEPS = 25


class Mishaps:
    """A world in which something happens at every step."""

    def __init__(
        self, seed: int, load: Load, settings: dict[str, str], redis: RedisServer, proxy: RedisProxy
    ) -> None:
        self.random = random.Random(seed)
        self.load = load
        self.settings = settings
        self.redis = redis
        self.proxy = proxy
        self.copies: list[ShardCopy] = []
        self.done: list[str] = []

    async def one(self) -> None:
        name = self.random.choice(
            [name for name in dir(self) if name.startswith("do_") for _ in range(WEIGHTS.get(name, 1))]
        )
        self.done.append(name.removeprefix("do_"))
        await getattr(self, name)()

    async def do_produce(self) -> None:
        await self.load.produce(self.random.randrange(1, 150))

    async def do_lose_some_replies(self) -> None:
        picks = self.random.choice([is_append, is_script])
        self.proxy.lose_replies(picks, times=self.random.randrange(1, 6))

    async def do_cut_some_requests(self) -> None:
        share = self.random.random()
        self.proxy.cut_requests_at(is_append, lambda size: int(size * share), times=3)

    async def do_cut_all_connections(self) -> None:
        self.proxy.cut()

    async def do_forget_the_script(self) -> None:
        self.redis.command("SCRIPT", "FLUSH")

    async def do_copy_a_shard(self) -> None:
        self.copies.append(ShardCopy(self.redis, self.random.randrange(8)))

    async def do_roll_shards_back(self) -> None:
        for copy in self.random.sample(self.copies, min(len(self.copies), self.random.randrange(1, 4))):
            copy.restore()

    async def do_end_a_bridge_and_start_another(self) -> None:
        await self.bridge.abandon()
        await self.begin()

    async def do_run_a_second_owner(self) -> None:
        name = f"{self.load.topic}-{self.random.randrange(3)}"
        sizes = {"KAFKA__MAX_BATCH_RECORDS": str(self.random.randrange(10, 200))}
        async with running(self.settings | sizes | {"KAFKA__GROUP_ID": name}) as other:
            await eventually(lambda: other.joined, "the second owner to join")
            await self.load.produce(self.random.randrange(1, 100))

    async def begin(self) -> None:
        sizes = {"KAFKA__MAX_BATCH_RECORDS": str(self.random.randrange(10, 200))}
        self.bridge: BridgeUnderTest = await begun(self.settings | sizes)


WEIGHTS = {"do_produce": 5, "do_copy_a_shard": 4, "do_roll_shards_back": 2}


@pytest.mark.parametrize("seed", range(1, 4))
async def test_whatever_happens_in_whatever_order_all_is_exact(
    load: Load, settings: dict[str, str], own_redis: RedisServer, proxy: RedisProxy, seed: int
) -> None:
    world = Mishaps(seed, load, settings | {"REDIS__URL": proxy.url}, own_redis, proxy)
    await load.produce(200)
    await world.begin()
    await eventually(lambda: is_applied(load, own_redis.url, shards=8), "the beginning")

    for _ in range(STEPS):
        await world.one()
    proxy.heal()

    try:
        await assert_exact(load, own_redis.url)
    except AssertionError as wrong:
        raise AssertionError(f"{wrong} after {world.done}") from None
    finally:
        await world.bridge.stop()
