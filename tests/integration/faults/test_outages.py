"""Redis or the dead letters are away, from the start or for a while (FAULTS.md 2, 16, 25, 53; G4)."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable

import pytest

from tests.integration.faults.bridges import running
from tests.integration.faults.oracle import (
    EXACT,
    Load,
    Place,
    assert_exact,
    eventually,
    is_applied,
    judge,
    kept,
    streams,
    watermarks,
)
from tests.servers import RedisServer
from tests.servers.topics import create_topic

NewRedis = Callable[..., RedisServer]


async def test_what_was_produced_before_redis_was_there_is_not_skipped(
    load: Load, settings: dict[str, str], own_redis: RedisServer
) -> None:
    own_redis.stop()

    async def bridge() -> None:
        async with running(settings | {"REDIS__URL": own_redis.url}):
            await assert_exact(load, own_redis.url)

    await load.produce(500)
    waiting = asyncio.create_task(bridge())
    await load.produce(100)
    assert not waiting.done()
    await asyncio.to_thread(own_redis.start)

    await waiting


async def test_a_redis_without_memory_takes_no_part_of_a_batch_and_everything_later(
    load: Load, settings: dict[str, str], own_redis: RedisServer
) -> None:
    async with running(settings | {"REDIS__URL": own_redis.url}) as bridge:
        await load.produce(500)
        await assert_exact(load, own_redis.url)
        own_redis.command("CONFIG", "SET", "maxmemory", "1mb")
        await load.produce(500)
        await eventually(lambda: bridge.open, "an open circuit")
        assert bridge.number("publish_failures_total", reason="out_of_memory") > 0
        verdict = judge(load, own_redis.url)
        assert len(verdict.missing) == 500
        assert not verdict.duplicates

        own_redis.command("CONFIG", "SET", "maxmemory", "0")
        await assert_exact(load, own_redis.url)


async def test_a_primary_without_replicas_takes_nothing_until_it_has_some(
    load: Load, settings: dict[str, str], own_redis: RedisServer
) -> None:
    async with running(settings | {"REDIS__URL": own_redis.url}) as bridge:
        await bridge.until_ready()
        own_redis.command("CONFIG", "SET", "min-replicas-to-write", "1")
        await load.produce(300)
        await eventually(lambda: bridge.open, "an open circuit")
        assert bridge.number("publish_failures_total", reason="replicas_missing") > 0
        assert streams(own_redis.url) == {}

        own_redis.command("CONFIG", "SET", "min-replicas-to-write", "0")
        await assert_exact(load, own_redis.url)


@pytest.mark.parametrize("outages", [1, 3])
async def test_what_is_dropped_lies_in_announced_ranges_and_nowhere_else(
    load: Load,
    settings: dict[str, str],
    own_redis: RedisServer,
    caplog: pytest.LogCaptureFixture,
    outages: int,
) -> None:
    dropping = settings | {"REDIS__URL": own_redis.url, "ON_SINK_FAILURE": "drop"}
    safe: set[tuple[str, Place]] = set()
    unsafe: set[tuple[str, Place]] = set()
    async with running(dropping) as bridge:
        for _ in range(outages):
            await load.produce(300)
            await applied(load, own_redis.url)
            safe |= set(load.offsets) - unsafe
            own_redis.command("CONFIG", "SET", "maxmemory", "1mb")
            before = bridge.number("events_dropped_total", reason="policy")
            await load.produce(300)
            await bridge.until("events_dropped_total", before + 100, reason="policy")
            unsafe |= set(load.offsets) - safe
            own_redis.command("CONFIG", "SET", "maxmemory", "0")
            await bridge.until("circuit_state", 1, state="closed")
        await load.produce(300)
        await applied(load, own_redis.url)

    verdict = judge(load, own_redis.url)
    assert_announced(load, verdict.missing, caplog)
    assert verdict.missing <= unsafe
    assert verdict.but_for_missing == EXACT, str(verdict)


async def test_what_was_dropped_does_not_come_back_after_a_crash(
    load: Load, settings: dict[str, str], own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    dropping = settings | {"REDIS__URL": own_redis.url, "ON_SINK_FAILURE": "drop"}
    async with running(dropping) as bridge:
        await load.produce(300)
        await applied(load, own_redis.url)
        own_redis.command("CONFIG", "SET", "maxmemory", "1mb")
        await load.produce(300)
        await bridge.until("events_dropped_total", 100, reason="policy")
        commits = bridge.number("commits_total")
        await bridge.until("commits_total", commits + 1)
        await bridge.abandon()
    own_redis.command("CONFIG", "SET", "maxmemory", "0")

    async with running(dropping):
        await load.produce(300)
        await applied(load, own_redis.url)

    verdict = judge(load, own_redis.url)
    assert_announced(load, verdict.missing, caplog)
    assert verdict.but_for_missing == EXACT, str(verdict)


async def applied(load: Load, url: str) -> None:
    await eventually(lambda: is_applied(load, url, shards=8), "everything to be applied or passed")


def assert_announced(
    load: Load, missing: frozenset[tuple[str, Place]], caplog: pytest.LogCaptureFixture
) -> None:
    """Something is missing, and each of it lies in a range of offsets that a log line names."""
    announced: defaultdict[int, set[int]] = defaultdict(set)
    for record in caplog.records:
        if found := re.search(r"dropped by policy.* offsets (\d+) to (\d+)", record.getMessage()):
            partition = record.__dict__["partition"]
            announced[partition] |= set(range(int(found[1]), int(found[2]) + 1))
    assert missing
    assert {whose for whose in missing if load.offsets[whose] not in announced[whose[1][0]]} == set()


@pytest.mark.real_kafka
async def test_while_the_dead_letters_are_away_nothing_is_skipped_and_other_partitions_go_on(
    load: Load, settings: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    url, letters = settings["REDIS__URL"], f"{load.topic}.rejected"
    async with running(settings | {"KAFKA__DEAD_LETTER_TOPIC": letters}) as bridge:
        await load.produce_between(0, [b"rubbish"])
        await load.produce(300, rubbish=False, partitions=[1, 2, 3])
        await assert_exact(load, url, but=[0])
        await eventually(lambda: "the partition waits" in caplog.text, "the record not to be kept")
        await load.produce(100, rubbish=False)
        await assert_exact(load, url, but=[0])
        assert {watermarks(url, load.topic)[shard, 0] for shard in range(8)} == {-1}
        assert bridge.number("events_rejected_total", reason="not_json") == 0

        create_topic(load.bootstrap, letters, partitions=4)
        await assert_exact(load, url)

    assert bridge.number("events_rejected_total", reason="not_json") == 1
    assert [letter.value for letter in await kept(load.bootstrap, letters, 1)] == [b"rubbish"]
