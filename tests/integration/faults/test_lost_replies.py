"""Replies and requests get lost on the way to Redis (FAULTS.md 1, 2, 3, 24, 27)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.integration.faults.bridges import running
from tests.integration.faults.oracle import Load, assert_exact, eventually
from tests.servers import RedisServer
from tests.servers.proxy import Picks, RedisProxy, is_append, is_script


@pytest.fixture
def url(own_redis: RedisServer) -> str:
    """The server's own address, past the proxy."""
    return own_redis.url


@pytest.fixture
def settings(settings: dict[str, str], proxy: RedisProxy) -> dict[str, str]:
    return settings | {"REDIS__URL": proxy.url}


LOST: dict[str, tuple[Picks, int]] = {
    "of one append": (is_append, 1),
    "of forty appends": (is_append, 40),
    "of twelve calls of any kind": (is_script, 12),
}


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
async def test_a_lost_reply_is_asked_for_again_and_nothing_is_appended_twice(
    load: Load, settings: dict[str, str], proxy: RedisProxy, url: str, lost: tuple[Picks, int]
) -> None:
    picks, times = lost
    await load.produce(1000)
    proxy.lose_replies(picks, times=times)

    async with running(settings) as bridge:
        await assert_exact(load, url)
        await bridge.until("events_published_total", load.accepted - len(repeated(proxy)))

    assert len(proxy.answered) == times
    assert bridge.number("events_duplicates_total") == len(repeated(proxy))


def repeated(proxy: RedisProxy) -> set[bytes]:
    """The data of the entries that were appended although the bridge never heard of it."""
    # Behind the names of the streams come eight arguments, then an entry each.
    return {data for command in proxy.answered for data in command[3 + int(command[2]) + 8 :]}


async def test_while_every_reply_is_lost_the_circuit_is_open_and_afterwards_all_is_exact(
    load: Load, settings: dict[str, str], proxy: RedisProxy, url: str
) -> None:
    await load.produce(1000)
    proxy.lose_replies(is_append)

    async with running(settings) as bridge:
        await eventually(lambda: bridge.open and len(proxy.answered) > 10, "an open circuit and some probes")
        await load.produce(200)
        proxy.heal()

        await assert_exact(load, url)
        await bridge.until("circuit_state", 1, state="closed")


PLACES: dict[str, Callable[[int], int]] = {
    "nothing of it": lambda _: 0,
    "its first word": lambda _: 12,
    "half of it": lambda size: size // 2,
    "all but the last byte": lambda size: size - 1,
    "all of it": lambda size: size,
}


@pytest.mark.parametrize("place", PLACES.values(), ids=[place.replace(" ", "-") for place in PLACES])
async def test_a_request_that_is_cut_is_carried_out_once_or_not_at_all(
    load: Load,
    settings: dict[str, str],
    proxy: RedisProxy,
    url: str,
    place: Callable[[int], int],
) -> None:
    await load.produce(500)
    proxy.cut_requests_at(is_append, place, times=5)

    async with running(settings):
        await assert_exact(load, url)

    assert proxy.cut_requests == 5


async def test_a_network_that_swallows_answers_opens_the_circuit_and_costs_nothing(
    load: Load, settings: dict[str, str], proxy: RedisProxy, url: str
) -> None:
    async with running(settings) as bridge:
        await bridge.until_ready()
        proxy.fall_silent()
        await load.produce(1000)
        await eventually(lambda: bridge.open, "an open circuit")
        assert bridge.number("publish_failures_total", reason="timeout") > 0

        proxy.heal()
        await assert_exact(load, url)


async def test_a_script_that_is_forgotten_all_the_time_is_loaded_all_the_time(
    load: Load, settings: dict[str, str], own_redis: RedisServer
) -> None:
    async def flush() -> None:
        while True:
            await asyncio.to_thread(own_redis.command, "SCRIPT", "FLUSH")

    async with running(settings | {"REDIS__TIMEOUT_SECONDS": "10"}) as bridge:
        await bridge.until_ready()
        flushing = asyncio.create_task(flush())
        await load.produce(1500)
        await bridge.until("events_published_total", 500)
        flushing.cancel()

        await assert_exact(load, own_redis.url)
        assert bridge.number("events_duplicates_total") == 0
