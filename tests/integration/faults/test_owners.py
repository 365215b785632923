"""Several bridges, and partitions that change hands at bad moments (FAULTS.md 7, 8, 9, 10)."""

from __future__ import annotations

import asyncio
import signal

import pytest

from tests.integration.entrypoints.processes import running_bridge
from tests.integration.faults.bridges import QUICK, numbers, running
from tests.integration.faults.oracle import Load, assert_exact, eventually
from tests.integration.faults.test_crashes import OTHER_BATCHES
from tests.servers import RedisServer


async def test_two_bridges_on_the_same_partitions_append_everything_once(
    load: Load, settings: dict[str, str]
) -> None:
    """Each in a group of its own, both under one source's name: neither knows of the other."""
    await load.produce(500)

    second = settings | OTHER_BATCHES | {"KAFKA__GROUP_ID": f"{load.topic}-2"}
    async with running(settings) as one, running(second) as other:
        await load.produce(1500)
        await assert_exact(load, settings["REDIS__URL"])

        def total(name: str) -> float:
            return one.number(name) + other.number(name)

        await eventually(
            lambda: total("events_published_total") == load.accepted, "both to know what was appended"
        )
        assert total("events_duplicates_total") > 0


async def test_a_frozen_bridge_that_wakes_up_as_a_second_owner_appends_nothing_twice(
    load: Load, settings: dict[str, str]
) -> None:
    others = settings | OTHER_BATCHES | {"KAFKA__GROUP_ID": f"{load.topic}-2"}
    with running_bridge(QUICK | settings) as zombie:
        zombie.wait_until_probed()
        zombie.wait_until_ready()
        producing = asyncio.create_task(load.produce(2000))
        await eventually(
            lambda: numbers(zombie.port)["eventbridge_events_published_total"] > 100,
            "the bridge to be at work",
        )
        zombie.signal(signal.SIGSTOP)
        await producing
        async with running(others):
            await assert_exact(load, settings["REDIS__URL"])
            zombie.signal(signal.SIGCONT)
            await load.produce(300)
            await eventually(
                lambda: numbers(zombie.port)["eventbridge_events_duplicates_total"] > 0,
                "the one that woke up to repeat what was done",
            )
            await assert_exact(load, settings["REDIS__URL"])


@pytest.mark.real_kafka
async def test_partitions_that_change_hands_under_load_keep_their_order(
    load: Load, settings: dict[str, str]
) -> None:
    enough = asyncio.Event()

    async def produce_until_enough() -> None:
        while not enough.is_set():
            await load.produce(100)

    async with running(settings) as stays:
        await stays.until_ready()
        producing = asyncio.create_task(produce_until_enough())
        for ends in ("stop", "abandon", "stop"):
            async with running(settings) as comes:
                await comes.until("events_consumed_total", 1, topic=load.topic)
                await (comes.stop() if ends == "stop" else comes.abandon())
        enough.set()
        await producing

        await assert_exact(load, settings["REDIS__URL"])


@pytest.mark.real_kafka
async def test_partitions_that_come_while_the_circuit_is_open_are_not_read_before_it_closes(
    load: Load, settings: dict[str, str], own_redis: RedisServer
) -> None:
    settings |= {"REDIS__URL": own_redis.url, "REDIS__TIMEOUT_SECONDS": "0.3"}
    async with running(settings) as one, running(settings) as other:
        await eventually(lambda: one.joined and other.joined, "both to be members")
        await load.produce(400)
        await assert_exact(load, own_redis.url)
        own_redis.pause()
        await load.produce(400)
        await eventually(lambda: one.open and other.open, "both circuits to be open")

        rebalances = one.number("rebalances_total")
        await other.stop()
        await one.until("rebalances_total", rebalances + 1)
        consumed = one.number("events_consumed_total", topic=load.topic)
        probes = one.number("publish_failures_total", reason="timeout")
        await one.until("publish_failures_total", probes + 2, reason="timeout")
        assert one.number("events_consumed_total", topic=load.topic) == consumed

        own_redis.resume()
        await assert_exact(load, own_redis.url)
        assert not one.open
