"""Live copies: heard once subscribed, again after whatever cuts the subscription, and said where it was cut.

Every message of a stream is either heard, or followed by a confirmation after which the stream is read.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from eventbridge.adapters.redis import keys, listener, live_format, subscription
from eventbridge.adapters.redis.settings import RedisSettings
from eventbridge.adapters.redis.sse_service import RedisSSEService
from eventbridge.application.gateway_ports import EpochChanged, Interrupted, LiveCopies, LiveCopy, Subscribed
from eventbridge.domain.message import SSEMessage
from eventbridge.domain.routing import shard_of
from tests.integration.redis.gateway import (
    Heard,
    copies_of,
    data_of,
    entries,
    feeding,
    interrupted,
    subscribed,
)
from tests.integration.redis.sink import TARGETS, apply, batch, begin, entry
from tests.servers import RedisCluster, RedisSentinels, RedisServer
from tests.servers.certificates import Certificates
from tests.servers.embedded import EmbeddedRedis
from tests.servers.proxy import RedisProxy

USER = TARGETS[0]
CHANNEL = keys.live(0)
EPOCH = "abcdefgh"
NewServer = Callable[..., RedisServer]


@pytest.fixture
def server(redis_server: NewServer) -> RedisServer:
    """A server of the test's own: channels are common to all databases of the shared one."""
    return redis_server()


def copy(number: int, target: str = "user:a", size: int = 0) -> LiveCopy:
    data = f'"{number}{"x" * size}"'
    return LiveCopy(target, f"{number + 1}-0", f"{number}-0", str(number), "", "E", data)


def message(text: str) -> SSEMessage:
    return SSEMessage(event="E", data=f'"{text}"'.encode())


def publish(server: RedisServer, *copies: LiveCopy, channel: str = CHANNEL) -> int:
    packed = live_format.encode(LiveCopies(EPOCH, copies))
    heard: int = server.command("PUBLISH", channel, packed)
    return heard


def connections() -> set[str]:
    """The sockets of this process."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(str(descriptor.readlink()))
    return {each for each in found if each.startswith("socket:")}


async def test_what_the_bridge_appends_is_heard_as_it_lies_in_the_stream(server: RedisServer) -> None:
    sink = RedisSSEService(RedisSettings(url=server.url, shards=1), "main")
    async with sink, feeding(server.url) as feed, Heard(feed.live) as heard:
        await feed.watch(0)
        await heard.until(subscribed(0))

        await begin(sink)
        await apply(sink, batch(-1, 2, *(entry(n) for n in range(3))))
        news = await heard.until(entries(3))
        page = await feed.read(USER, None, 10)

    live = copies_of(news)
    assert [(each.id, each.prev, each.event, each.data, int(each.timestamp)) for each in live] == [
        (str(each.id), str(each.prev), each.event, each.data, each.timestamp) for each in page.entries
    ]
    assert {each.target for each in live} == {keys.target_name(USER)}
    assert {each.epoch for each in news if isinstance(each, LiveCopies)} == {page.view.epoch}


async def test_an_epoch_that_changed_is_heard(server: RedisServer) -> None:
    async with feeding(server.url) as feed, Heard(feed.live) as heard:
        await feed.watch(0)
        await heard.until(subscribed(0))

        publish(server)

        await heard.until(lambda news: news == [EpochChanged(0, EPOCH)])


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xff\xff",
        b"\x93\x02\xa1a\xa1b",
        msgspec.msgpack.encode([live_format.VERSION, EPOCH, "user:a", "1-0", "0-0", 1.5, "", "E", "1"]),
    ],
)
async def test_a_message_that_cannot_be_read_is_passed_over(server: RedisServer, message: bytes) -> None:
    async with feeding(server.url) as feed, Heard(feed.live) as heard:
        await feed.watch(0)
        await heard.until(subscribed(0))

        server.command("PUBLISH", CHANNEL, message)
        publish(server, copy(1))
        news = await heard.until(entries(1))

    assert data_of(news) == ['"1"']
    assert len(news) == 1


async def test_only_shards_of_interest_are_subscribed_to_over_one_connection(server: RedisServer) -> None:
    async with feeding(server.url, shards=8) as feed, Heard(feed.live) as heard:
        for shard in (1, 2, 2, 5):
            await feed.watch(shard)
        await heard.until(subscribed(1, 2, 5))
        channels = set(server.command("PUBSUB", "CHANNELS"))
        await feed.unwatch(1)
        await feed.unwatch(2)
        await feed.watch(3)
        await heard.until(subscribed(3))
        remaining = set(server.command("PUBSUB", "CHANNELS"))
        connections = str(server.command("CLIENT", "LIST", "TYPE", "PUBSUB")).count("id=")

    assert channels == {keys.live(1), keys.live(2), keys.live(5)}
    assert remaining == {keys.live(2), keys.live(3), keys.live(5)}
    assert connections == 1


async def test_interest_that_comes_and_goes_quickly_ends_as_it_was_said_last(server: RedisServer) -> None:
    async with feeding(server.url, shards=2) as feed, Heard(feed.live) as heard:
        await feed.watch(1)
        await heard.until(subscribed(1))

        for turn in range(400):
            await feed.unwatch(1)
            for _ in range(turn // 20):
                await asyncio.sleep(0)
            await feed.watch(1)
            for _ in range(turn % 20):
                await asyncio.sleep(0)
        await feed.watch(0)
        news = await heard.until(subscribed(0))
        publish(server, copy(1), channel=keys.live(1))
        await heard.until(entries(1))

    assert Subscribed(1) in news
    assert not interrupted(1)(news)


async def test_a_subscription_that_is_killed_again_and_again_is_confirmed_again_each_time(
    server: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And fills no log."""
    monkeypatch.setattr(subscription, "QUIET_SECONDS", 3600)
    async with feeding(server.url, shards=2) as feed, Heard(feed.live) as heard:
        await feed.watch(0)
        await feed.watch(1)
        await heard.until(subscribed(0, 1))

        for number in range(20):
            killed = server.command("CLIENT", "KILL", "TYPE", "pubsub")
            news = await heard.until(lambda news: interrupted(0, 1)(news) and subscribed(0, 1)(news))
            publish(server, copy(number))
            last = await heard.until(entries(1))

            assert killed == 1
            assert [type(each).__name__ for each in news] == ["Interrupted"] * 2 + ["Subscribed"] * 2
            assert data_of(last) == [f'"{number}"']
        left = str(server.command("CLIENT", "LIST")).count("name=eventbridge")

    assert left == 1
    (line,) = [each for each in caplog.messages if "subscription" in each]
    assert line.startswith("the subscription in Redis is cut and tried again")


async def test_whatever_is_published_while_connections_are_killed_is_heard_or_followed_by_a_confirmation(
    server: RedisServer,
) -> None:
    sink = RedisSSEService(RedisSettings(url=server.url, shards=1), "main")
    async with sink, feeding(server.url) as feed, Heard(feed.live) as heard:
        await feed.watch(0)
        await heard.until(subscribed(0))
        seen: set[str] = set()

        async def write() -> None:
            await begin(sink)
            for offset in range(400):
                await apply(sink, batch(offset - 1, offset, entry(offset)))

        async def kill() -> None:
            while True:
                await asyncio.to_thread(server.command, "CLIENT", "KILL", "TYPE", "pubsub")

        killing = asyncio.create_task(kill())
        await write()
        killing.cancel()
        await asyncio.wait({killing})
        at = 0
        while '{"n":399}' not in seen:
            news = await heard.until(bool)
            for each in news:
                if isinstance(each, Subscribed):
                    page = await feed.read(USER, None, 1000)
                    seen.update(entry.data for entry in page.entries)
            seen.update(data_of(news))
            at += 1

    assert len(seen) == 400


async def test_a_server_that_comes_back_is_subscribed_to_again(server: RedisServer) -> None:
    async with feeding(server.url) as feed, Heard(feed.live) as heard:
        await feed.watch(0)
        await heard.until(subscribed(0))

        server.kill()
        await heard.until(interrupted(0))
        await feed.watch(0)
        await asyncio.to_thread(server.start)
        await heard.until(subscribed(0))
        publish(server, copy(1))

        await heard.until(entries(1))


async def test_a_server_that_is_away_from_the_beginning_is_waited_for(server: RedisServer) -> None:
    server.kill()
    async with feeding(server.url) as feed, Heard(feed.live) as heard:
        await feed.watch(0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(heard.until(subscribed(0)), 0.3)
        await asyncio.to_thread(server.start)

        await heard.until(subscribed(0))


async def test_a_link_that_is_dead_without_a_word_is_noticed_and_replaced(server: RedisServer) -> None:
    proxy = RedisProxy(server.port)
    async with proxy, feeding(proxy.url, timeout_seconds=1) as feed, Heard(feed.live) as heard:
        await feed.watch(0)
        await heard.until(subscribed(0))

        proxy.fall_silent()
        await heard.until(interrupted(0))
        proxy.heal()
        await heard.until(subscribed(0))
        publish(server, copy(1))

        await heard.until(entries(1))


async def test_a_message_that_takes_its_time_to_arrive_is_no_silence(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "_TICK_SECONDS", 0.05)
    proxy = RedisProxy(server.port)
    async with proxy, feeding(proxy.url) as feed, Heard(feed.live) as heard:
        await feed.watch(0)
        await heard.until(subscribed(0))

        proxy.trickle(1024)
        publish(server, copy(1, size=500_000))
        news = await heard.until(entries(1))

    assert not any(isinstance(each, Interrupted) for each in news)


async def test_a_server_that_is_frozen_is_noticed_and_subscribed_to_again(server: RedisServer) -> None:
    async with feeding(server.url, timeout_seconds=0.5) as feed, Heard(feed.live) as heard:
        await feed.watch(0)
        await heard.until(subscribed(0))

        server.pause()
        await heard.until(interrupted(0))
        server.resume()

        await heard.until(subscribed(0))


async def test_a_taker_that_is_too_slow_is_cut_by_the_server_and_told_so(redis_server: NewServer) -> None:
    server = redis_server(client_output_buffer_limit="pubsub 4mb 2mb 1")
    async with feeding(server.url) as feed:
        await feed.watch(0)
        async with Heard(feed.live) as heard:
            await heard.until(subscribed(0))

            published = 0
            # Without a turn of the loop: nothing is read meanwhile.
            while publish(server, copy(published, size=500_000)):
                published += 1
                assert published < 200, "the server never cut the subscription"
            news = await heard.until(subscribed(0))

    assert interrupted(0)(news)
    assert len(data_of(news)) < published


async def test_when_listening_ends_no_connection_is_left_and_it_may_begin_again(server: RedisServer) -> None:
    async with feeding(server.url) as feed:
        await feed.watch(0)
        async with Heard(feed.live) as heard:
            await heard.until(subscribed(0))
        tasks = asyncio.all_tasks()
        async with Heard(feed.live) as again:
            await again.until(subscribed(0))
            publish(server, copy(1))
            await again.until(entries(1))

    assert tasks == {asyncio.current_task()}


async def test_when_listening_ends_at_a_server_that_is_frozen_its_connection_is_closed_at_once(
    redis_server: NewServer, certificates: Certificates
) -> None:
    server = redis_server(tls=certificates)
    async with feeding(f"{server.url}?ssl_ca_certs={certificates.authority}") as feed:
        await feed.watch(0)
        before = connections()
        async with Heard(feed.live) as heard:
            await heard.until(subscribed(0))
            server.pause()
        await asyncio.sleep(0)
        left = connections() - before
        server.resume()

    assert left == set()


async def test_whenever_listening_ends_it_leaves_no_task_and_no_connection(server: RedisServer) -> None:
    async with feeding(server.url) as feed:
        await feed.watch(0)

        for steps in range(60):
            async with Heard(feed.live):
                for _ in range(steps):
                    await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}
        while "name=eventbridge" in await asyncio.to_thread(server.command, "CLIENT", "LIST"):
            pass


async def test_redis_6_is_listened_to_as_well() -> None:
    with EmbeddedRedis() as server:
        sink = RedisSSEService(RedisSettings(url=server.url, shards=1), "main")
        async with sink, feeding(server.url) as feed, Heard(feed.live) as heard:
            await feed.watch(0)
            await heard.until(subscribed(0))

            await sink.publish_event(USER.id, message("old"))
            news = await heard.until(entries(1))
            page = await feed.read(USER, None, 10)

    assert data_of(news) == [each.data for each in page.entries] == ['"old"']


async def test_a_subscription_that_is_not_allowed_is_tried_until_it_is(
    redis_server: NewServer, caplog: pytest.LogCaptureFixture
) -> None:
    server = redis_server(users={"gateway": "on >secret ~* +@all"})
    url = server.url_for(user="gateway", password="secret")
    async with feeding(url) as feed, Heard(feed.live) as heard:
        caplog.set_level(logging.INFO)
        await feed.watch(0)
        while not await asyncio.to_thread(server.command, "ACL", "LOG"):
            pass

        server.command("ACL", "SETUSER", "gateway", "allchannels")
        await heard.until(subscribed(0))

    [said, again] = [each.getMessage() for each in caplog.records if "subscription" in each.getMessage()]
    assert said.startswith("the subscription in Redis is cut and tried again: the sink refuses us (rights)")
    assert again == "the subscription in Redis holds again"


async def test_a_demoted_primary_is_left_for_the_new_one(
    redis_sentinels: Callable[..., RedisSentinels],
) -> None:
    sentinels = await asyncio.to_thread(redis_sentinels)
    async with feeding(sentinels.url) as feed, Heard(feed.live) as heard:
        await feed.watch(0)
        await heard.until(subscribed(0))
        old = sentinels.primary.port

        sentinels.primary.kill()
        await heard.until(interrupted(0))
        await asyncio.to_thread(sentinels.wait_for_failover, old)
        await heard.until(subscribed(0))
        await asyncio.to_thread(publish, sentinels.replica, copy(1))

        await heard.until(entries(1))


async def test_in_a_cluster_each_shard_is_listened_to_at_the_node_that_has_it(
    redis_cluster: Callable[..., RedisCluster],
) -> None:
    cluster = await asyncio.to_thread(redis_cluster)
    sink = RedisSSEService(RedisSettings(url=cluster.url, shards=16), "main")
    async with sink, feeding(cluster.url, shards=16) as feed, Heard(feed.live) as heard:
        for shard in range(16):
            await feed.watch(shard)
        await heard.until(subscribed(*range(16)))

        for target in TARGETS:
            await sink.publish_event(target.id, message(target.id))
        news = await heard.until(entries(len(TARGETS)))
        pages = [await feed.read(target, None, 10) for target in TARGETS]
        kinds = [
            str(node.command("CLIENT", "LIST", "TYPE", "PUBSUB")).count("ssub=") for node in cluster.primaries
        ]

    assert sorted(data_of(news)) == sorted(page.entries[0].data for page in pages)
    assert kinds == [1, 1, 1]


async def test_in_a_cluster_a_shard_whose_slot_moves_is_followed(
    redis_cluster: Callable[..., RedisCluster],
) -> None:
    cluster = await asyncio.to_thread(redis_cluster)
    target = TARGETS[0]
    shard = shard_of(target.id, 16)
    sink = RedisSSEService(RedisSettings(url=cluster.url, shards=16), "main")
    async with sink, feeding(cluster.url, shards=16) as feed, Heard(feed.live) as heard:
        for each in range(16):
            await feed.watch(each)
        await heard.until(subscribed(*range(16)))
        slot = cluster.primaries[0].command("CLUSTER", "KEYSLOT", keys.live(shard))
        source = next(each for each in cluster.primaries if owns(each, slot))
        goal = next(each for each in cluster.primaries if each is not source)

        for node in (goal, source, *cluster.primaries):
            node.command("CLUSTER", "SETSLOT", slot, "NODE", goal.command("CLUSTER", "MYID"))
        await heard.until(lambda news: interrupted(shard)(news) and subscribed(shard)(news))
        await sink.publish_event(target.id, message("moved"))
        last = await heard.until(entries(1))

    assert data_of(last) == ['"moved"']


async def test_in_a_cluster_a_stream_in_a_slot_that_is_moving_can_be_read(
    redis_cluster: Callable[..., RedisCluster],
) -> None:
    cluster = await asyncio.to_thread(redis_cluster)
    target = TARGETS[0]
    shard = shard_of(target.id, 16)
    sink = RedisSSEService(RedisSettings(url=cluster.url, shards=16), "main")
    async with sink, feeding(cluster.url, shards=16) as feed:
        await sink.publish_event(target.id, message("1"))
        await feed.read(target, None, 1)
        stream, meta = keys.stream(shard, target), keys.meta(shard)
        slot = cluster.primaries[0].command("CLUSTER", "KEYSLOT", stream)
        source = next(each for each in cluster.primaries if owns(each, slot))
        goal = next(each for each in cluster.primaries if each is not source)

        goal.command("CLUSTER", "SETSLOT", slot, "IMPORTING", source.command("CLUSTER", "MYID"))
        source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", goal.command("CLUSTER", "MYID"))
        source.command("MIGRATE", "127.0.0.1", goal.port, "", 0, 5000, "KEYS", stream, meta)
        page = await feed.read(target, None, 1)

    assert [each.data for each in page.entries] == ['"1"']


def owns(node: RedisServer, slot: int) -> bool:
    own = node.command("CLUSTER", "MYID")
    slots = node.command("CLUSTER", "SLOTS")
    return any(low <= slot <= high and primary[2] == own for low, high, primary, *_ in slots)
