"""FAULTS 43 and DELIVERY.md 5.6: Redis' messages lost, Redis away, and pages that miss nothing."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from tests.integration.gateway.running import bearer, new_user, running_gateway
from tests.integration.gateway.sse_client import answer_of, open_page
from tests.servers import RedisServer

pytestmark = pytest.mark.usefixtures("either_way")

NewRedis = Callable[..., RedisServer]


async def test_pages_stay_exact_while_the_subscription_is_killed_again_and_again(
    redis_server: NewRedis,
) -> None:
    redis = redis_server()
    users = [new_user() for _ in range(5)]
    count = 200
    async with running_gateway(redis.url) as gateway, AsyncExitStack() as pages:
        opened = [
            await pages.enter_async_context(open_page(gateway.port, "/events", bearer(user)))
            for user in users
        ]
        for page in opened:
            await page.wait_for_bytes(b"id: ")
        killed = 0
        for number in range(count):
            for user in users:
                await gateway.publish(user, number)
            if number % 10 == 0:
                killed += int(await asyncio.to_thread(redis.command, "CLIENT", "KILL", "TYPE", "pubsub"))
        for page in opened:
            await page.wait_for_bytes(b'"n": %d,' % (count - 1))

    assert killed > 5
    for page in opened:
        assert {event.type for event in page.events} == {"Test.Numbered"}
        assert [int(event.data.split(",")[0][6:]) for event in page.events] == list(range(count))


async def test_pages_are_told_that_redis_is_away_and_when_it_is_back(redis_server: NewRedis) -> None:
    redis = redis_server(appendonly=True, appendfsync="always")
    user = new_user()
    async with (
        running_gateway(redis.url, stale_after_seconds=1, heartbeat_seconds=1) as gateway,
        open_page(gateway.port, "/events", bearer(user)) as page,
    ):
        await page.wait_for(lambda: bool(page.last_event_id))
        await gateway.publish(user, 1)
        assert (await page.next_data())["n"] == 1
        await asyncio.to_thread(redis.stop)
        stale = await page.next_event()
        await gateway.until(lambda: not gateway.check("redis").ok)
        told = gateway.check("redis").detail
        ready, _, _ = await answer_of(gateway.port, "/health/ready")
        await asyncio.to_thread(redis.start)
        fresh = await page.next_event()
        await gateway.until(lambda: gateway.check("redis").ok)
        await gateway.publish(user, 2)
        after = await page.next_data()

    assert (stale.type, fresh.type) == ("stale", "fresh")
    assert stale.data == fresh.data
    assert after["n"] == 2
    assert "away for" in told
    assert ready == 200


async def test_a_page_that_connects_while_redis_is_away_waits_and_then_misses_nothing(
    redis_server: NewRedis,
) -> None:
    redis = redis_server(appendonly=True, appendfsync="always")
    user = new_user()
    async with running_gateway(redis.url, stale_after_seconds=0.5, heartbeat_seconds=1) as gateway:
        position = await gateway.publish(user, 1)
        await gateway.publish(user, 2)
        await asyncio.to_thread(redis.stop)
        header = {**bearer(user), "Last-Event-ID": position}
        async with open_page(gateway.port, "/events", header) as page:
            stale = await page.next_event()
            await page.wait_for_bytes(b": hb\n")
            await asyncio.to_thread(redis.start)
            fresh = await page.next_event()
            missed = await page.next_data()

    assert page.status == 200
    assert (stale.type, fresh.type) == ("stale", "fresh")
    assert missed["n"] == 2


async def test_a_user_limit_that_cannot_be_checked_lets_pages_in_and_is_counted(
    redis_server: NewRedis,
) -> None:
    redis = redis_server(users={"gateway": "on >secret ~* &* +@all -eval"})
    url = redis.url_for(user="gateway", password="secret")
    async with (
        running_gateway(url, max_connections_per_user=1) as gateway,
        open_page(gateway.port, "/events", bearer(new_user())) as page,
    ):
        await page.wait_for(lambda: bool(page.last_event_id))

        assert page.status == 200
        assert gateway.counted("gateway_limits_failed_open_total", limit="user") >= 1
