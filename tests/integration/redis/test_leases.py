"""Slots that gateways share: never more than the limit, renewed by their holders, healed by expiry."""

import asyncio
from collections.abc import Callable

import pytest
from redis import Redis

from eventbridge.adapters.redis import keys
from eventbridge.adapters.redis.leases import RedisLeases
from eventbridge.application.errors import SinkUnavailable
from eventbridge.testing.cancellation import cancelled_at
from tests.integration.redis.gateway import linked
from tests.servers import RedisServer
from tests.servers.embedded import EmbeddedRedis
from tests.servers.proxy import RedisProxy

USER = "00000000-0000-4000-8000-00000000000A"
KEY = "eb:gw:lease:00000000-0000-4000-8000-00000000000a"


def ends_now(url: str, connection: str) -> None:
    """Let a lease end, as it does when its gateway has crashed."""
    with Redis.from_url(url) as client:
        client.zadd(KEY, {connection: 1})


async def test_slots_are_given_up_to_the_limit_and_again_when_one_is_given_back(redis_url: str) -> None:
    async with linked(redis_url) as link:
        one, other = RedisLeases(link), RedisLeases(link)

        taken = [await one.take(USER, f"a{n}", 3) for n in range(2)]
        taken += [await other.take(USER, f"b{n}", 3) for n in range(2)]
        await one.release(USER, "a0")
        again = await other.take(USER, "b1", 3)

    assert taken == [True, True, True, False]
    assert again


async def test_a_holder_renews_although_all_slots_are_taken(redis_url: str) -> None:
    async with linked(redis_url) as link:
        leases = RedisLeases(link)
        await leases.take(USER, "a", 1)
        with Redis.from_url(redis_url) as client:
            soon = client.time()[0] * 1000 + 1000
            client.zadd(KEY, {"a": soon})
            client.expire(KEY, 10)

            renewed, refused = await leases.take(USER, "a", 1), await leases.take(USER, "b", 1)

            assert (renewed, refused) == (True, False)
            assert client.zcount(KEY, soon + 50_000, "+inf") == 1
            assert client.ttl(KEY) > 50


async def test_what_a_crashed_gateway_held_is_free_when_it_ends(redis_url: str) -> None:
    async with linked(redis_url) as link:
        leases = RedisLeases(link)
        await leases.take(USER, "lost", 1)
        refused = await leases.take(USER, "a", 1)

        ends_now(redis_url, "lost")
        taken = await leases.take(USER, "a", 1)

    assert (refused, taken) == (False, True)


async def test_no_key_stays_when_its_leases_are_over(redis_url: str) -> None:
    async with linked(redis_url) as link:
        await RedisLeases(link).take(USER, "a", 1)
        await RedisLeases(link).take("another", "a", 1)
        await RedisLeases(link).release("another", "a")
        with Redis.from_url(redis_url) as client:
            left, life = client.keys(), client.ttl(KEY)

    assert left == [KEY.encode()]
    assert 50 < life <= 60


async def test_users_have_slots_of_their_own_whatever_they_are_called(redis_url: str) -> None:
    async with linked(redis_url) as link:
        leases = RedisLeases(link)

        taken = [await leases.take(name, "a", 1) for name in (USER, "a}x{b", "a*", "a:b")]
        with Redis.from_url(redis_url) as client:
            names = sorted(client.keys())

    assert taken == [True] * 4
    assert names == [b"eb:gw:lease:" + each for each in (KEY[12:].encode(), b"a%2A", b"a%3Ab", b"a%7Dx%7Bb")]


async def test_without_a_limit_redis_is_not_asked(redis_server: Callable[..., RedisServer]) -> None:
    server = redis_server()
    async with linked(server.url) as link:
        server.kill()

        assert await RedisLeases(link).take(USER, "a", 0)


async def test_many_at_once_are_not_more_than_the_limit(redis_url: str) -> None:
    async with linked(redis_url) as link:
        leases = RedisLeases(link)

        taken = await asyncio.gather(*(leases.take(USER, f"c{n}", 7) for n in range(60)))

    assert sum(taken) == 7


async def test_a_take_whose_reply_was_lost_holds_one_slot_and_is_renewed(
    redis_server: Callable[..., RedisServer],
) -> None:
    server = redis_server()
    async with RedisProxy(server.port) as proxy, linked(proxy.url) as link:
        leases = RedisLeases(link)
        proxy.lose_replies(lambda command: command[0] == b"EVAL", times=1)

        with pytest.raises(SinkUnavailable):
            await leases.take(USER, "a", 2)
        again = await leases.take(USER, "a", 2)
        other = await leases.take(USER, "b", 2)

    assert (again, other) == (True, True)
    assert server.command("ZCARD", KEY) == 2


async def test_wherever_a_take_is_cancelled_giving_back_leaves_nothing(redis_url: str) -> None:
    async with linked(redis_url) as link:
        leases = RedisLeases(link)
        count, suspended = 0, True

        while suspended:
            count += 1
            suspended = await cancelled_at(count, leases.take(USER, "a", 1))
            await leases.release(USER, "a")

            assert await leases.take(USER, "b", 1)
            await leases.release(USER, "b")

    assert count > 1


async def test_redis_6_shares_slots_as_well() -> None:
    with EmbeddedRedis() as server:
        async with linked(server.url) as link:
            taken = [await RedisLeases(link).take(USER, name, 2) for name in ("a", "b", "c", "a")]

    assert taken == [True, True, False, True]


async def test_a_server_that_is_away_is_unavailable(redis_server: Callable[..., RedisServer]) -> None:
    server = redis_server()
    async with linked(server.url) as link:
        leases = RedisLeases(link)
        await leases.take(USER, "a", 2)
        server.kill()

        with pytest.raises(SinkUnavailable) as away:
            await leases.take(USER, "a", 2)

    assert away.value.reason == "connection"
    assert keys.lease(USER) == KEY
