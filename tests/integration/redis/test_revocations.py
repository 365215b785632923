"""Revocations: hold at once and for long, are heard by every gateway, and asked for again after each gap."""

from collections.abc import Callable

import pytest
from redis import Redis

from eventbridge.adapters.redis import keys
from eventbridge.adapters.redis.revocations import RedisRevocations
from eventbridge.application.errors import SinkUnavailable
from eventbridge.application.gateway_ports import Identity
from tests.integration.redis.gateway import Heard, linked
from tests.servers import RedisCluster, RedisServer
from tests.servers.proxy import RedisProxy

USER = "00000000-0000-4000-8000-00000000000A"
NewServer = Callable[..., RedisServer]


def who(user_id: str = USER, token_id: str | None = None) -> Identity:
    return Identity(user_id, 2_000_000_000, token_id)


async def test_a_revoked_user_may_not_read_with_any_token(redis_url: str) -> None:
    async with linked(redis_url) as link:
        revocations = RedisRevocations(link)
        before = await revocations.is_revoked(who(token_id="j1"))

        await revocations.revoke(user_id=USER)

        assert not before
        assert await revocations.is_revoked(who())
        assert await revocations.is_revoked(who(USER.lower(), "j1"))
        assert not await revocations.is_revoked(who("another", "j1"))


async def test_a_revoked_token_is_that_one_alone(redis_url: str) -> None:
    async with linked(redis_url) as link:
        revocations = RedisRevocations(link)

        await revocations.revoke(token_id="J/1 *")

        assert await revocations.is_revoked(who(token_id="J/1 *"))
        assert not await revocations.is_revoked(who(token_id="j/1 *"))
        assert not await revocations.is_revoked(who("J/1 *", token_id=""))
        assert not await revocations.is_revoked(who())


async def test_a_revocation_holds_as_long_as_was_said(redis_url: str) -> None:
    async with linked(redis_url) as link:
        revocations = RedisRevocations(link)
        await revocations.revoke(user_id=USER, life_seconds=5)
        await revocations.revoke(user_id=USER, token_id="j1")
        with Redis.from_url(redis_url) as client:
            lives = [client.ttl(keys.revoked_user(USER)), client.ttl(keys.revoked_token("j1"))]

    assert all(29 * 86_400 < life <= 30 * 86_400 for life in lives)


async def test_every_gateway_hears_of_it_after_it_holds(redis_server: NewServer) -> None:
    url = redis_server().url
    async with linked(url) as link, linked(url) as other:
        one, two, operator = RedisRevocations(link), RedisRevocations(other), RedisRevocations(link)
        async with Heard(one.announced) as first, Heard(two.announced) as second:
            await first.gaps(1)
            await second.gaps(1)

            await operator.revoke(user_id=USER, token_id="j1")
            names = [await each.until(lambda news: len(news) == 2) for each in (first, second)]

    assert names == [[f"user:{USER.lower()}", "jti:j1"]] * 2
    assert first.batches[0] == ()


async def test_after_a_gap_everything_is_to_be_asked_for_again(redis_server: NewServer) -> None:
    server = redis_server()
    async with linked(server.url) as link:
        revocations = RedisRevocations(link)
        async with Heard(revocations.announced) as heard:
            for gaps in range(1, 4):
                await heard.gaps(gaps)
                server.command("CLIENT", "KILL", "TYPE", "pubsub")
            await heard.gaps(4)
            await revocations.revoke(user_id=USER)

            assert await heard.until(bool) == [f"user:{USER.lower()}"]


async def test_an_announcement_that_cannot_be_read_asks_for_everything(redis_server: NewServer) -> None:
    server = redis_server()
    async with linked(server.url) as link, Heard(RedisRevocations(link).announced) as heard:
        await heard.gaps(1)

        server.command("PUBLISH", keys.CONTROL, "spoilt")

        await heard.gaps(2)


async def test_a_revocation_whose_reply_was_lost_is_made_once_more(redis_server: NewServer) -> None:
    server = redis_server()
    async with RedisProxy(server.port) as proxy, linked(proxy.url) as link:
        revocations = RedisRevocations(link)
        proxy.lose_replies(lambda command: command[0] == b"SET", times=1)

        with pytest.raises(SinkUnavailable):
            await revocations.revoke(user_id=USER)
        held = await revocations.is_revoked(who())
        await revocations.revoke(user_id=USER)

    assert held


async def test_in_a_cluster_it_is_the_same(redis_cluster: Callable[..., RedisCluster]) -> None:
    cluster = redis_cluster()
    async with linked(cluster.url) as link, linked(cluster.url) as other:
        revocations, gateway = RedisRevocations(link), RedisRevocations(other)
        async with Heard(gateway.announced) as heard:
            await heard.gaps(1)

            await revocations.revoke(user_id=USER, token_id="j1")
            names = await heard.until(lambda news: len(news) == 2)
            found = [
                await gateway.is_revoked(each) for each in (who(), who("b", "j1"), who("b", "j2"), who("b"))
            ]

    assert names == [f"user:{USER.lower()}", "jti:j1"]
    assert found == [True, True, False, False]
