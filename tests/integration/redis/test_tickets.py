"""One-time tickets: good once, for 30 s and for one user, and not to be read from Redis."""

import asyncio
import hashlib
from collections.abc import Callable

import pytest
from redis import Redis

from eventbridge.adapters.redis.tickets import RedisTickets
from eventbridge.application.errors import SinkUnavailable
from eventbridge.application.gateway_ports import Identity
from tests.integration.redis.gateway import linked
from tests.servers import RedisServer
from tests.servers.proxy import RedisProxy


async def test_a_ticket_opens_once_for_whom_it_was_issued_to(redis_url: str) -> None:
    async with linked(redis_url) as link:
        tickets = RedisTickets(link)
        ticket = await tickets.issue("someone", 2_000_000_000, "j1")
        other = await tickets.issue("someone else", 2_000_000_001, None)

        found = [await tickets.redeem(each) for each in (ticket, ticket, other, other)]

    assert found == [
        Identity("someone", 2_000_000_000, "j1"),
        None,
        Identity("someone else", 2_000_000_001, None),
        None,
    ]


async def test_of_many_who_redeem_a_ticket_at_once_one_gets_in(redis_url: str) -> None:
    async with linked(redis_url) as link:
        tickets = RedisTickets(link)
        ticket = await tickets.issue("someone", 2_000_000_000, None)

        found = await asyncio.gather(*(tickets.redeem(ticket) for _ in range(50)))

    assert sum(each is not None for each in found) == 1


async def test_redis_keeps_a_ticket_for_half_a_minute_and_only_its_hash(redis_url: str) -> None:
    async with linked(redis_url) as link:
        ticket = await RedisTickets(link).issue("someone", 2_000_000_000, None)
        with Redis.from_url(redis_url) as client:
            [key] = client.keys()
            life, value = client.ttl(key), client.get(key)

    assert key == b"eb:gw:ticket:" + hashlib.sha256(ticket.encode()).hexdigest().encode()
    assert value == b'{"user_id":"someone","expires_at":2000000000,"token_id":null}'
    assert len(ticket) >= 43
    assert 25 <= life <= 30


@pytest.mark.parametrize("ticket", ["", "x" * 10_000, "a}x{b", "\ud800", "\x00\r\n", "*"])
async def test_what_was_never_issued_opens_nothing(redis_url: str, ticket: str) -> None:
    async with linked(redis_url) as link:
        assert await RedisTickets(link).redeem(ticket) is None


async def test_a_ticket_that_was_spoilt_opens_nothing(redis_url: str) -> None:
    async with linked(redis_url) as link:
        ticket = await RedisTickets(link).issue("someone", 2_000_000_000, None)
        with Redis.from_url(redis_url) as client:
            client.set(client.keys()[0], b'{"user_id": 7}')

        assert await RedisTickets(link).redeem(ticket) is None


async def test_a_ticket_whose_reply_was_lost_is_used(
    redis_server: Callable[..., RedisServer],
) -> None:
    server = redis_server()
    async with RedisProxy(server.port) as proxy, linked(proxy.url) as link:
        tickets = RedisTickets(link)
        ticket = await tickets.issue("someone", 2_000_000_000, None)
        proxy.lose_replies(lambda command: command[0] == b"GETDEL", times=1)

        with pytest.raises(SinkUnavailable):
            await tickets.redeem(ticket)
        again = await tickets.redeem(ticket)

    assert again is None
