"""What is looked at before a bridge runs: the layout at every start, everything by `inspect`."""

from collections.abc import Callable, Iterable

import pytest

from eventbridge.adapters.redis import keys
from eventbridge.adapters.redis.inspection import inspect
from eventbridge.adapters.redis.layout import LayoutMismatch
from eventbridge.adapters.redis.rights import CLUSTER_RULES, READER_RULES, RULES
from eventbridge.adapters.redis.settings import Durability, RedisSettings
from eventbridge.adapters.redis.sse_service import RedisSSEService
from eventbridge.application.errors import SinkMisconfigured, SinkUnavailable
from eventbridge.application.findings import Finding, Level
from eventbridge.domain.delivery import Applied
from eventbridge.domain.message import SSEMessage
from tests.integration.redis.sink import ORDERS, TARGETS, apply, batch, begin, entry
from tests.servers import RedisCluster, RedisServer

NewServer = Callable[..., RedisServer]


def levels(findings: Iterable[Finding]) -> dict[str, Level]:
    return {finding.subject: finding.level for finding in findings}


def sentence(findings: Iterable[Finding], subject: str) -> str:
    return next(each.sentence for each in findings if each.subject == subject)


async def test_the_layout_is_written_at_the_first_start_and_holds_for_all_later_ones(
    redis_server: NewServer,
) -> None:
    server = redis_server()
    async with RedisSSEService(RedisSettings(url=server.url), "main"):
        pass

    async with RedisSSEService(RedisSettings(url=server.url, shards=8), "other"):
        found = server.command("HGETALL", keys.LAYOUT)
    with pytest.raises(LayoutMismatch, match="says shards = 8, the settings say 9") as refusal:
        async with RedisSSEService(RedisSettings(url=server.url, shards=9), "main"):
            pass

    assert found == {"version": "1", "shards": "8", "hash": "crc32"}
    assert isinstance(refusal.value, SinkMisconfigured)
    assert server.command("TTL", keys.LAYOUT) == -1


async def test_a_server_that_came_back_empty_gets_its_layout_when_positions_are_asked_for(
    redis_server: NewServer,
) -> None:
    server = redis_server()
    async with RedisSSEService(RedisSettings(url=server.url), "main") as sink:
        await begin(sink)
        server.command("FLUSHALL")

        known = await sink.positions([ORDERS])

        assert {each.watermark for each in known[ORDERS]} == {None}
        assert server.command("HGET", keys.LAYOUT, "shards") == "8"


async def test_a_well_kept_server_passes(redis_server: NewServer) -> None:
    server = redis_server(maxmemory="100mb", appendonly=True)

    findings = await inspect(RedisSettings(url=server.url))

    assert levels(findings) == {
        "redis version": Level.OK,
        "redis encryption": Level.WARNING,
        "redis role": Level.OK,
        "redis memory": Level.OK,
        "redis persistence": Level.OK,
        "redis rights": Level.OK,
        "redis layout": Level.OK,
    }
    assert server.command("EXISTS", keys.LAYOUT) == 0
    assert all(server.command("TTL", key) <= 1 for key in server.command("KEYS", "*"))


async def test_what_an_operator_has_to_mend_is_named(redis_server: NewServer) -> None:
    server = redis_server(maxmemory="100mb", maxmemory_policy="allkeys-lru")
    server.command("HSET", keys.LAYOUT, "version", "1", "shards", "3", "hash", "crc32")

    findings = await inspect(RedisSettings(url=server.url, durability=Durability.DISK))

    assert levels(findings)["redis version"] is Level.ERROR
    assert "WAITAOF" in sentence(findings, "redis version")
    assert levels(findings)["redis memory"] is Level.ERROR
    assert "allkeys-lru" in sentence(findings, "redis memory")
    assert levels(findings)["redis persistence"] is Level.ERROR
    assert levels(findings)["redis layout"] is Level.ERROR
    assert "shards = 3" in sentence(findings, "redis layout")


async def test_a_replica_and_a_missing_replica_are_named(redis_server: NewServer) -> None:
    primary = redis_server()
    alone = await inspect(RedisSettings(url=primary.url, durability=Durability.REPLICA))
    replica = redis_server(replica_of=primary)

    found = await inspect(RedisSettings(url=replica.url))

    assert levels(alone)["redis role"] is Level.ERROR
    assert "needs a connected replica" in sentence(alone, "redis role")
    assert levels(found)["redis role"] is Level.ERROR


async def test_a_server_that_is_away_and_a_wrong_password_are_findings(redis_server: NewServer) -> None:
    server = redis_server(users={"bridge": "on >right +@all ~* &*"})
    refused = await inspect(RedisSettings(url=server.url_for(user="bridge", password="a-secret")))
    server.kill()

    away = await inspect(RedisSettings(url=server.url))

    assert levels(refused) == {"redis": Level.ERROR}
    assert "authentication" in refused[0].sentence
    assert "a-secret" not in refused[0].sentence
    assert levels(away) == {"redis": Level.ERROR}


@pytest.mark.parametrize(
    ("taken", "named"),
    [
        ("-evalsha", "EVALSHA is not allowed"),
        ("-script|load", "SCRIPT LOAD is not allowed"),
        ("-xadd", "XADD on eb:{0}:check-stream is not allowed"),
        ("-xlen", "XLEN on eb:{0}:check-stream is not allowed"),
        ("-xrevrange", "XREVRANGE on eb:{0}:check-stream is not allowed"),
        ("-hset", "HSET on eb:{0}:check is not allowed"),
        ("-hsetnx", "HSETNX on eb:{0}:check is not allowed"),
        ("-hget", "HGET on eb:{0}:check is not allowed"),
        ("-hmget", "HMGET on eb:{0}:check is not allowed"),
        ("-hgetall", "HGETALL on eb:{0}:check is not allowed"),
        ("-hrandfield", "HRANDFIELD on eb:{0}:check is not allowed"),
        ("-hdel", "HDEL on eb:{0}:check is not allowed"),
        ("-pexpire", "PEXPIRE on eb:{0}:check is not allowed"),
        ("-time", "TIME is not allowed"),
        ("-publish", "PUBLISH on eb:{0}:check is not allowed"),
        ("-wait", "WAIT is not allowed"),
        ("resetchannels", "PUBLISH on eb:{0}:check is not allowed"),
        ("resetkeys ~other:*", "PEXPIRE on eb:{0}:check is not allowed"),
    ],
)
async def test_a_right_that_is_missing_is_named(redis_server: NewServer, taken: str, named: str) -> None:
    server = redis_server(users={"bridge": f"on >secret {RULES} {taken}"})
    url = server.url_for(user="bridge", password="secret")

    findings = await inspect(RedisSettings(url=url, durability=Durability.REPLICA))

    assert named in sentence(findings, "redis rights") + sentence(findings, findings[-1].subject)


async def test_the_rules_that_we_name_are_enough_for_all_that_the_bridge_does(
    redis_server: NewServer,
) -> None:
    server = redis_server(users={"bridge": f"on >secret {RULES}", "reader": f"on >secret {READER_RULES}"})
    settings = RedisSettings(url=server.url_for(user="bridge", password="secret"), shards=1)
    reading = RedisSettings(url=server.url_for(user="reader", password="secret"), shards=1)

    async with RedisSSEService(settings, "main") as sink:
        await begin(sink)
        first = await apply(sink, batch(-1, 0, entry(0)))
        await apply(sink, batch(0, 1))
        await sink.publish_event(TARGETS[0].id, SSEMessage(event="note", data=b"{}"))
        await sink.positions([ORDERS])
    findings = await inspect(settings)
    reader = RedisSSEService(reading, "main")
    page = await reader.history(TARGETS[0], None, 10)
    end = await reader.end(TARGETS[0])
    stream = reader.follow(TARGETS[0], None)
    await anext(stream)
    await stream.aclose()
    await reader.close()

    assert isinstance(first, Applied)
    assert levels(findings)["redis rights"] is Level.OK
    assert len(page.entries) == 2
    assert end == page.position(page.entries[-1])


async def test_the_rules_for_a_cluster_are_enough_there(redis_cluster: Callable[..., RedisCluster]) -> None:
    cluster = redis_cluster(users={"bridge": f"on >secret {CLUSTER_RULES}"})
    url = cluster.url.replace("redis+cluster://", "redis+cluster://bridge:secret@")
    settings = RedisSettings(url=url, shards=16)

    async with RedisSSEService(settings, "main") as sink:
        await begin(sink)
        await sink.publish_event(TARGETS[0].id, SSEMessage(event="note", data=b"{}"))
    findings = await inspect(settings)

    assert levels(findings)["redis rights"] is Level.OK


async def test_outside_its_keys_and_channels_the_bridges_user_may_do_nothing(redis_server: NewServer) -> None:
    server = redis_server(users={"bridge": f"on >secret {RULES}"})

    for command in (
        ("HSET", "other", "a", "b"),
        ("PUBLISH", "other", ""),
        ("DEL", "eb:layout"),
        ("KEYS", "*"),
    ):
        with pytest.raises(Exception, match=r"(?i)no permission"):
            server.command(*command, user="bridge", password="secret")


async def test_a_server_that_lacks_replicas_to_write_is_not_writable_now(redis_server: NewServer) -> None:
    server = redis_server(min_replicas_to_write=1)

    with pytest.raises(SinkUnavailable) as refusal:
        async with RedisSSEService(RedisSettings(url=server.url), "main"):
            pass

    assert refusal.value.reason == "replicas_missing"
