"""The users of docs/redis-acl.md: each may do all that its programs do, needs all of it, and no more."""

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import NoPermissionError, RedisError

from eventbridge.adapters.redis import keys, rights
from eventbridge.adapters.redis.event_feed import RedisEventFeed
from eventbridge.adapters.redis.history import StreamHistory
from eventbridge.adapters.redis.inspection import inspect
from eventbridge.adapters.redis.layout import read_layout
from eventbridge.adapters.redis.leases import RedisLeases
from eventbridge.adapters.redis.revocations import RedisRevocations
from eventbridge.adapters.redis.sse_service import RedisSSEService
from eventbridge.adapters.redis.tickets import RedisTickets
from eventbridge.application.errors import SinkMisconfigured
from eventbridge.application.gateway_ports import Identity
from eventbridge.domain.message import SSEMessage
from eventbridge.domain.position import StreamId
from tests.integration.redis.gateway import Heard, entries, linked, settings_of, subscribed
from tests.integration.redis.sink import ORDERS, TARGETS, apply, batch, begin, entry
from tests.servers import RedisCluster, RedisServer

NewServer = Callable[..., RedisServer]
DOCUMENT = Path(__file__).parents[3] / "docs" / "redis-acl.md"
USER = TARGETS[0]
WHO = Identity(USER.id, 2_000_000_000, "j1")
RULES_OF = {
    "bridge": [rights.RULES, rights.CLUSTER_RULES],
    "gateway": [rights.GATEWAY_RULES, rights.GATEWAY_CLUSTER_RULES],
    "revoker": [rights.REVOKER_RULES],
    "reader": [rights.READER_RULES],
}


def documented() -> dict[str, list[str]]:
    """Each user's rules, as the document has them, without passwords."""
    found: dict[str, list[str]] = {}
    for name, rules in re.findall(r"^ +ACL SETUSER (\w+) reset on >\S+ (.+)$", DOCUMENT.read_text(), re.M):
        found.setdefault(name, []).append(rules)
    return found


class Users:
    """A server whose users have the documented rights, and what it refused them."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server

    def set(self, name: str, rules: str) -> str:
        """Start anew with such a user; answers the URL with its login."""
        self.server.command("FLUSHALL")
        self.server.command("SCRIPT", "FLUSH")
        self.server.command("CONFIG", "RESETSTAT")
        self.server.command("ACL", "LOG", "RESET")
        self.server.command("ACL", "SETUSER", name, "reset", "on", ">secret", *rules.split())
        return self.server.url_for(user=name, password="secret")

    def refused(self) -> list[str]:
        """What was refused since then, the last first."""
        return [
            f"{each['reason']} {each['object']}" for each in map(as_dict, self.server.command("ACL", "LOG"))
        ]

    def used(self, command: str) -> bool:
        """Whether the command was sent since then, refused or not."""
        return f"cmdstat_{command}" in self.server.command("INFO", "commandstats")


def as_dict(entry: Any) -> dict[str, Any]:
    return entry if isinstance(entry, dict) else dict(zip(entry[::2], entry[1::2], strict=True))


@pytest.fixture(scope="module")
def users() -> Iterator[Users]:
    with RedisServer() as server:
        yield Users(server)


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not await asyncio.to_thread(holds):
            pass


async def serve(users: Users, url: str) -> None:
    """Do all that the gateway does."""
    await write(users.server.url)
    async with linked(url) as link:
        feed = RedisEventFeed(settings_of(url), link)
        leases, tickets, revocations = RedisLeases(link), RedisTickets(link), RedisRevocations(link)
        await feed.read(USER, StreamId(1, 1), 10)
        await feed.read_last(USER, 10)
        assert await leases.take(USER.id, "c1", 2)
        await leases.release(USER.id, "c1")
        assert await tickets.redeem(await tickets.issue(USER.id, WHO.expires_at, None))
        assert not await revocations.is_revoked(WHO)
        async with Heard(revocations.announced) as announced:
            await announced.gaps(1)
        async with Heard(feed.live) as heard:
            await feed.watch(0)
            await heard.until(subscribed(0))
            await write(users.server.url)
            await heard.until(entries(1))
            await eventually(lambda: users.used("ping"))
            await feed.unwatch(0)
            await eventually(lambda: users.used("unsubscribe"))


async def write(url: str, shards: int = 1) -> None:
    async with RedisSSEService(settings_of(url, shards=shards), "main") as sink:
        await sink.publish_event(USER.id, SSEMessage(event="E", data=b"1"))


async def bridge(users: Users, url: str) -> None:
    """Do all that the bridge does, and `check`."""
    del users
    settings = settings_of(url)
    async with RedisSSEService(settings, "main") as sink:
        await begin(sink)
        await apply(sink, batch(-1, 0, entry(0)))
        await apply(sink, batch(0, 1))
        await sink.positions([ORDERS])
    await inspect(settings_of(url, durability="replica"))


async def tail(users: Users, url: str) -> None:
    """Do what `tail` does: find, show, and wait for more."""
    await write(users.server.url)
    async with linked(url, timeout_seconds=0.2) as link:
        history = StreamHistory(link, int((await read_layout(link))["shards"]))
        following = history.follow(USER, await history.end(USER))
        waiting = asyncio.create_task(anext(following))
        await asyncio.wait(
            {waiting, asyncio.create_task(eventually(lambda: users.used("xread")))},
            return_when="FIRST_COMPLETED",
        )
        await write(users.server.url)
        await waiting
        await following.aclose()


async def revoke(users: Users, url: str) -> None:
    del users
    async with linked(url) as link:
        await RedisRevocations(link).revoke(user_id=USER.id, token_id="j1")


DOES = {"bridge": bridge, "gateway": serve, "revoker": revoke, "reader": tail}
ONE_SERVER = {name: rules[0] for name, rules in RULES_OF.items()}
EACH_RIGHT = [
    (name, right)
    for name, rules in ONE_SERVER.items()
    for right in rules.split()
    if right != "+hello"  # Redis 7 asks no right for it
]


def test_the_document_has_the_rules_that_the_programs_name() -> None:
    assert documented() == RULES_OF


@pytest.mark.parametrize("name", DOES)
async def test_the_documented_rights_suffice(users: Users, name: str) -> None:
    url = users.set(name, ONE_SERVER[name])

    await DOES[name](users, url)

    assert users.refused() == []


@pytest.mark.parametrize(("name", "right"), EACH_RIGHT)
async def test_each_documented_right_is_needed(users: Users, name: str, right: str) -> None:
    rules = " ".join(each for each in ONE_SERVER[name].split() if each != right)
    url = users.set(name, rules)

    doing = asyncio.create_task(DOES[name](users, url))
    refusal = asyncio.create_task(eventually(lambda: bool(users.refused())))
    await asyncio.wait({doing, refusal}, return_when=asyncio.FIRST_COMPLETED)
    refused = users.refused()
    for each in (doing, refusal):
        each.cancel()
    await asyncio.gather(doing, refusal, return_exceptions=True)

    assert refused


async def test_in_a_cluster_the_documented_rights_suffice(redis_cluster: Callable[..., RedisCluster]) -> None:
    cluster = redis_cluster(
        users={
            "bridge": f"on >secret {rights.CLUSTER_RULES}",
            "gateway": f"on >secret {rights.GATEWAY_CLUSTER_RULES}",
            "revoker": f"on >secret {rights.REVOKER_RULES} {CLUSTER_TOO}",
            "reader": f"on >secret {rights.READER_RULES} {CLUSTER_TOO}",
        }
    )

    def url(name: str) -> str:
        return cluster.url.replace("//", f"//{name}:secret@")

    async with linked(url("gateway"), shards=16) as link:
        feed = RedisEventFeed(settings_of(cluster.url, shards=16), link)
        async with Heard(feed.live) as heard, Heard(RedisRevocations(link).announced) as announced:
            for shard in range(16):
                await feed.watch(shard)
            await heard.until(subscribed(*range(16)))
            await announced.gaps(1)
            await write(url("bridge"), shards=16)
            await heard.until(entries(1))
            await feed.read(USER, StreamId(1, 1), 10)
            async with linked(url("revoker")) as other:
                await RedisRevocations(other).revoke(user_id=USER.id)
            await announced.until(bool)
            for shard in range(16):
                await feed.unwatch(shard)
            assert await RedisRevocations(link).is_revoked(WHO)
            assert await RedisLeases(link).take(USER.id, "c1", 2)
            assert await RedisTickets(link).redeem(await RedisTickets(link).issue(USER.id, 1, None))
    async with linked(url("reader")) as link:
        assert (await StreamHistory(link, 16).page(USER, None, 10)).entries

    assert [node.command("ACL", "LOG") for node in cluster.primaries] == [[], [], []]


CLUSTER_TOO = "+cluster|slots +command +asking"

ON_A_KEY = {
    "evalsha": ("EVALSHA", "0" * 40, 1, "{}"),
    "eval": ("EVAL", "return 1", 1, "{}"),
    "hget": ("HGET", "{}", "f"),
    "hset": ("HSET", "{}", "f", "1"),
    "hsetnx": ("HSETNX", "{}", "f", "1"),
    "hmget": ("HMGET", "{}", "f"),
    "hgetall": ("HGETALL", "{}"),
    "hdel": ("HDEL", "{}", "f"),
    "hrandfield": ("HRANDFIELD", "{}", 1),
    "xadd": ("XADD", "{}", "*", "f", "1"),
    "xlen": ("XLEN", "{}"),
    "xrange": ("XRANGE", "{}", "-", "+"),
    "xread": ("XREAD", "STREAMS", "{}", "0"),
    "xrevrange": ("XREVRANGE", "{}", "+", "-"),
    "pexpire": ("PEXPIRE", "{}", 1),
    "zadd": ("ZADD", "{}", 1, "m"),
    "zcard": ("ZCARD", "{}"),
    "zscore": ("ZSCORE", "{}", "m"),
    "zrem": ("ZREM", "{}", "m"),
    "zremrangebyscore": ("ZREMRANGEBYSCORE", "{}", 0, 1),
    "set": ("SET", "{}", "1"),
    "getdel": ("GETDEL", "{}"),
    "exists": ("EXISTS", "{}"),
    "publish": ("PUBLISH", "{}", "1"),
    "spublish": ("SPUBLISH", "{}", "1"),
    "subscribe": ("SUBSCRIBE", "{}"),
    "ssubscribe": ("SSUBSCRIBE", "{}"),
}
"""A call of each documented command that has a key or a channel, which stands for `{}`."""

WITHOUT = {
    *("hello", "ping", "info", "client|setname", "script|load", "time", "wait", "multi", "exec"),
    *("unsubscribe", "sunsubscribe", "cluster|slots", "command", "asking"),
}
"""Those that have none."""

OUTSIDE = {
    "bridge": ["other", "eb", "EB:layout", "{0}eb:{0}:wm"],
    "gateway": ["other", "eb:{other", "eb:gw:other", "eb:gw", "eb:layout:x"],
    "revoker": ["other", "eb:{0}:meta", "eb:layout", "eb:gw:ticket:x", "eb:gw:lease:x"],
    "reader": ["other", "eb", "EB:layout"],
}
"""Names that are none of a user's. `eb:{other` is one of the gateway's to read, not to write."""

READS = {"hget", "hmget", "hgetall", "xlen", "xrange", "xread", "xrevrange", "zcard", "zscore", "exists"}


def commands_of(name: str) -> list[str]:
    return [each[1:] for each in RULES_OF[name][-1].split() if each.startswith("+")]


@pytest.mark.parametrize("name", OUTSIDE)
def test_each_documented_command_is_refused_outside_its_names(users: Users, name: str) -> None:
    users.set(name, RULES_OF[name][-1])
    commands = commands_of(name)
    called = 0

    for command in (each for each in commands if each in ON_A_KEY):
        for outside in OUTSIDE[name]:
            if outside == "eb:{other" and command in READS:
                continue
            words = [outside if word == "{}" else word for word in ON_A_KEY[command]]
            with pytest.raises(NoPermissionError):
                users.server.command(*words, user=name, password="secret")
            called += 1

    assert called
    assert set(commands) <= ON_A_KEY.keys() | WITHOUT


FOREIGN: dict[str, list[tuple[str | int, ...]]] = {
    "bridge": [
        ("EVAL", "return 1", 0),
        ("SUBSCRIBE", "eb:{0}:live"),
        ("XTRIM", "eb:{0}:user:a", "MAXLEN", 0),
    ],
    "gateway": [
        ("PUBLISH", "eb:{0}:live", "x"),
        ("PUBLISH", "eb:gw:control", "x"),
        ("XADD", "eb:{0}:user:a", "*", "data", "1"),
        ("PEXPIRE", "eb:{0}:user:a", 1),
        ("SET", "eb:{0}:wm", "1"),
        ("GETDEL", "eb:gw:revoked:user:a"),
        ("PSUBSCRIBE", "*"),
    ],
    "revoker": [
        ("GET", "eb:gw:revoked:user:a"),
        ("DEL", "eb:gw:revoked:user:a"),
        ("XRANGE", "eb:{0}:user:a", "-", "+"),
    ],
    "reader": [
        ("HSET", "eb:layout", "a", "b"),
        ("XADD", "eb:{0}:user:a", "*", "a", "b"),
        ("PUBLISH", "eb:{0}:live", "x"),
    ],
}
"""What one might expect a user to be able to, and it is not."""

NOBODYS: list[tuple[str | int, ...]] = [
    ("GET", "eb:layout"),
    ("DEL", "eb:layout"),
    ("KEYS", "*"),
    ("SCAN", 0),
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("CONFIG", "GET", "*"),
    ("ACL", "LIST"),
    ("ACL", "SETUSER", "default", "nopass"),
    ("CLIENT", "LIST"),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("MONITOR",),
    ("SHUTDOWN",),
    ("SCRIPT", "FLUSH"),
    ("FUNCTION", "LIST"),
    ("MIGRATE", "127.0.0.1", 1, "eb:layout", 0, 1),
]


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_not_documented_is_refused(users: Users, name: str) -> None:
    users.set(name, RULES_OF[name][-1])

    for words in FOREIGN[name] + NOBODYS:
        with pytest.raises(NoPermissionError):
            users.server.command(*words, user=name, password="secret")


def test_a_script_of_the_gateways_may_do_no_more_than_the_gateway(users: Users) -> None:
    users.set("gateway", rights.GATEWAY_RULES)
    mine = keys.lease("a")

    for text in (
        "return redis.call('SET', 'other', '1')",
        "return redis.call('ZADD', 'eb:{0}:user:a', 1, 'm')",
        "return redis.call('DEL', KEYS[1])",
        "return redis.call('PUBLISH', 'eb:{0}:live', 'x')",
    ):
        with pytest.raises(RedisError, match=r"(?i)user executing the script can't|no permission"):
            users.server.command("EVAL", text, 1, mine, user="gateway", password="secret")


async def test_what_is_missing_is_named_by_its_command(users: Users) -> None:
    url = users.set("gateway", f"{rights.GATEWAY_RULES} -client|setname")

    async with linked(url) as link:
        with pytest.raises(SinkMisconfigured) as refusal:
            await RedisLeases(link).take(USER.id, "c1", 1)

    assert refusal.value.reason == "rights"
    assert "client|setname" in str(refusal.value)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("right", ["+client|setname", "+info", "+pexpire"])
async def test_check_names_a_missing_right_and_those_that_are_needed(users: Users, right: str) -> None:
    url = users.set("bridge", rights.RULES.replace(f" {right}", ""))

    findings = await inspect(settings_of(url))

    [said] = [each.sentence for each in findings if rights.RULES in each.sentence]
    assert re.search(right[1:].replace("|", r"\|"), said.split("The user needs")[0], re.IGNORECASE)
