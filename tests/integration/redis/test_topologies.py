"""The sink over TLS, under Sentinels, and in a Cluster."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from redis import Redis
from redis.cluster import RedisCluster as ClusterClient
from redis.exceptions import ConnectionError as RedisConnectionError

from eventbridge.adapters.redis import keys, live_format
from eventbridge.adapters.redis.connect import connect
from eventbridge.adapters.redis.settings import RedisSettings
from eventbridge.adapters.redis.shard_servers import RedisShardServers
from eventbridge.adapters.redis.sse_service import RedisSSEService
from eventbridge.adapters.system_clock import SystemClock
from eventbridge.application.errors import SinkMisconfigured, SinkUnavailable
from eventbridge.application.health import Check
from eventbridge.application.store_watch import StoreWatch
from eventbridge.domain.delivery import Answer, Applied, Batch, Gap, Mark
from eventbridge.domain.routing import shard_of
from tests.integration.redis.sink import ORDERS, TARGETS, apply, batch, begin, entry, offsets
from tests.servers import Certificates, RedisCluster, RedisSentinels, RedisServer


async def until_applied(sink: RedisSSEService, call: Batch) -> Answer:
    """Repeat a call as a bridge does, until the servers take it."""
    while True:
        with suppress(SinkUnavailable):
            return await apply(sink, call)


def is_replica(server: RedisServer) -> bool:
    with suppress(RedisConnectionError):
        return bool(server.command("ROLE")[0] == "slave")
    return False


async def test_certificates_are_checked_over_tls(
    redis_server: Callable[..., RedisServer], certificates: Certificates
) -> None:
    server = redis_server(tls=certificates)
    trusting = f"{server.url}?ssl_ca_certs={certificates.authority}"
    stranger = RedisSSEService(RedisSettings(url=server.url), "main")

    with pytest.raises(SinkMisconfigured) as refusal:
        await stranger.open()
    await stranger.close()
    async with RedisSSEService(RedisSettings(url=trusting, shards=1), "main") as sink:
        await begin(sink)
        answer = await apply(sink, batch(-1, 0, entry(0)))

    assert refusal.value.reason == "certificate"
    assert isinstance(answer, Applied)


async def test_after_a_failover_the_sink_goes_on_at_the_new_primary(
    redis_sentinels: Callable[..., RedisSentinels],
) -> None:
    servers = redis_sentinels()
    async with RedisSSEService(RedisSettings(url=servers.url, shards=1, timeout_seconds=2), "main") as sink:
        await begin(sink)
        before = await apply(sink, batch(-1, 0, entry(0)))
        servers.primary.command("WAIT", 1, 5000)

        servers.primary.kill()
        after = await until_applied(sink, batch(0, 1, entry(1)))

        assert isinstance(before, Applied)
        assert isinstance(after, Applied)
        assert after.epoch == before.epoch
        assert offsets(servers.replica.url) == [0, 1]


async def test_a_primary_that_became_a_replica_is_left(
    redis_sentinels: Callable[..., RedisSentinels],
) -> None:
    servers = redis_sentinels()
    async with RedisSSEService(RedisSettings(url=servers.url, shards=1, timeout_seconds=2), "main") as sink:
        await begin(sink)
        old = servers.current_primary_port()

        servers.sentinels[0].command("SENTINEL", "FAILOVER", "eventbridge")
        await asyncio.to_thread(servers.wait_for_failover, old)
        # What the old primary takes in its last moments is lost with them, data and watermark alike.
        call, answer = batch(-1, 0, entry(0)), None
        while not isinstance(answer, Applied) or not is_replica(servers.primary):
            answer = await until_applied(sink, call)
        found = await until_applied(sink, batch(0, 0))
        again = await until_applied(sink, call)

        assert isinstance(found, Applied | Gap)
        assert isinstance(again, Applied)
        assert offsets(f"redis://127.0.0.1:{servers.current_primary_port()}/0") == [0]


@pytest.fixture
def cluster(redis_cluster: Callable[..., RedisCluster]) -> RedisCluster:
    return redis_cluster(replicas=1)


def in_cluster(cluster: RedisCluster) -> RedisSSEService:
    return RedisSSEService(RedisSettings(url=cluster.url, shards=16, timeout_seconds=2), "main")


def stored_in(cluster: RedisCluster) -> dict[str, list[int]]:
    node = next(each for each in cluster.servers if each.running)
    client: Any = ClusterClient.from_url(node.url, protocol=2)
    found = {
        target.id: [
            int(fields[b"data"][5:-1])
            for _, fields in client.xrange(keys.stream(shard_of(target.id, 16), target))
        ]
        for target in TARGETS
    }
    client.close()
    return found


def calls(start: int) -> list[Batch]:
    """One call per shard with an entry for each target: the offsets `start` + 0 … 49."""
    found = []
    for shard in range(16):
        here = [
            entry(start + n, target) for n, target in enumerate(TARGETS) if shard_of(target.id, 16) == shard
        ]
        found.append(Batch(shard, (Mark(ORDERS, start - 1, start + 49),), here))
    return found


async def test_shards_lie_all_over_a_cluster_and_survive_the_loss_of_a_primary(cluster: RedisCluster) -> None:
    async with in_cluster(cluster) as sink:
        await begin(sink)
        await asyncio.gather(*(apply(sink, call) for call in calls(0)))
        known = await sink.positions([ORDERS])
        held = [primary.command("DBSIZE") for primary in cluster.primaries]
        for primary in cluster.primaries:
            primary.command("WAIT", 1, 5000)

        cluster.primaries[0].kill()
        await asyncio.gather(*(until_applied(sink, call) for call in calls(50)))

        assert [each.watermark for each in known[ORDERS]] == [49] * 16
        assert all(held), f"all in one place: {held}"
        assert stored_in(cluster) == {target.id: [n, 50 + n] for n, target in enumerate(TARGETS)}


async def test_a_slot_that_moves_takes_its_shard_along(cluster: RedisCluster) -> None:
    target = TARGETS[0]
    shard = shard_of(target.id, 16)
    async with in_cluster(cluster) as sink:
        await begin(sink)
        for call in calls(0):
            await apply(sink, call)
        key = keys.stream(shard, target)
        slot = int(cluster.primaries[0].command("CLUSTER", "KEYSLOT", key))
        giver = primary_of(cluster, key)
        taker = next(each for each in cluster.primaries if each is not giver)
        names = {each: each.command("CLUSTER", "MYID") for each in cluster.primaries}

        taker.command("CLUSTER", "SETSLOT", slot, "IMPORTING", names[giver])
        giver.command("CLUSTER", "SETSLOT", slot, "MIGRATING", names[taker])
        moving = giver.command("CLUSTER", "GETKEYSINSLOT", slot, 1000)
        giver.command("MIGRATE", "127.0.0.1", taker.port, "", 0, 5000, "KEYS", *moving)
        while_moving = await apply(sink, calls(50)[shard])
        for each in (taker, giver):
            each.command("CLUSTER", "SETSLOT", slot, "NODE", names[taker])
        moved = await apply(sink, calls(100)[shard])
        page = await sink.history(target, None, 10)

        assert isinstance(while_moving, Applied)
        assert isinstance(moved, Applied)
        assert [each.data for each in page.entries] == [b'{"n":0}', b'{"n":50}', b'{"n":100}']


async def test_live_copies_stay_within_their_shard_of_a_cluster(cluster: RedisCluster) -> None:
    shard = shard_of(TARGETS[0].id, 16)
    async with in_cluster(cluster) as sink:
        await begin(sink)
        node = primary_of(cluster, keys.live(shard))
        listener: Any = Redis(port=node.port, protocol=2)
        pubsub = listener.pubsub(ignore_subscribe_messages=True)
        pubsub.execute_command("SSUBSCRIBE", keys.live(shard))
        assert pubsub.parse_response()[0] == b"ssubscribe"

        await apply(sink, calls(0)[shard])
        kind, _, message = pubsub.parse_response()

        assert kind == b"smessage"
        assert live_format.decode(message).copies[0].data == '{"n":0}'
        pubsub.close()
        listener.close()


def primary_of(cluster: RedisCluster, key: str) -> RedisServer:
    first = cluster.primaries[0]
    slot = int(first.command("CLUSTER", "KEYSLOT", key))
    bounds = [5461, 10923, 16384]
    return cluster.primaries[next(n for n, end in enumerate(bounds) if slot < end)]


async def test_a_clusters_node_addressed_as_if_it_were_alone_is_for_an_operator(
    cluster: RedisCluster,
) -> None:
    sinks = [RedisSSEService(RedisSettings(url=node.url), "main") for node in cluster.primaries]

    reasons = set()
    for sink in sinks:
        try:
            await sink.open()
        except SinkMisconfigured as refusal:
            reasons.add(refusal.reason)
        await sink.close()

    assert reasons == {"cluster"}


async def test_the_shards_of_a_primary_that_is_away_are_named_to_operators(
    redis_cluster: Callable[..., RedisCluster],
) -> None:
    cluster = redis_cluster(cluster_require_full_coverage=False)
    lost = cluster.primaries[1]
    link = connect(RedisSettings(url=cluster.url, timeout_seconds=0.5))
    watch = StoreWatch(RedisShardServers(link, 128).unreachable, SystemClock(), 128, ask_seconds=0.01)
    watching = asyncio.create_task(watch.run())
    theirs = [shard for shard in range(128) if primary_of(cluster, keys.meta(shard)) is lost]
    well = watch.check()

    await asyncio.to_thread(lost.kill)
    killed = await told(watch, "connecting to")
    await asyncio.to_thread(lost.start)
    back = await told(watch, "answers")
    await asyncio.to_thread(lost.pause)
    frozen = await told(watch, "timeout")
    await asyncio.to_thread(lost.resume)
    await told(watch, "answers")
    for each in cluster.primaries:
        await asyncio.to_thread(each.kill)
    everything = await told(watch, " s, pages wait: ")
    watching.cancel()
    await link.close()

    assert (well, back) == (Check("redis", True, "answers"),) * 2
    for detail in (killed.detail, frozen.detail):
        which, _, rest = detail.removeprefix("shards ").partition(" of 128 away for ")
        assert [number for run in which.split(", ") for number in numbers(run)] == theirs
        assert "their pages wait: the sink is not writable" in rest
    assert str(lost.port) in killed.detail
    assert "shards" not in everything.detail


def numbers(run: str) -> range:
    """Of `3` or `5-8`."""
    first, _, last = run.partition("-")
    return range(int(first), int(last or first) + 1)


async def told(watch: StoreWatch, part: str) -> Check:
    """What operators are told, once it says this."""
    async with asyncio.timeout(20):
        while True:
            check = watch.check()
            if part in check.detail:
                return check
            await asyncio.sleep(0.01)


async def test_one_server_addressed_as_a_cluster_is_for_an_operator(
    redis_server: Callable[..., RedisServer],
) -> None:
    server = redis_server()
    sink = RedisSSEService(RedisSettings(url=f"redis+cluster://127.0.0.1:{server.port}"), "main")

    with pytest.raises(SinkMisconfigured) as refusal:
        await sink.open()
    await sink.close()

    assert refusal.value.reason == "cluster"
