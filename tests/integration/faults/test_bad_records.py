"""Records that no bridge should survive, end to end (FAULTS.md 28, 36 to 39)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from redis import Redis

from eventbridge.adapters.redis.keys import stream
from eventbridge.domain.delivery import Partition
from eventbridge.domain.routing import shard_of, user
from tests.integration.conftest import NewTopic
from tests.integration.entrypoints.processes import Bridge, running_bridge
from tests.integration.faults.bridges import QUICK, memory_peak, numbers, running
from tests.integration.faults.oracle import Load, assert_exact, envelope, eventually, kept
from tests.integration.faults.test_crashes import OTHER_BATCHES, killed
from tests.integration.kafka.members import produce
from tests.integration.kafka.tampering import batch, produce_batch
from tests.servers import RedisServer
from tests.servers.topics import create_topic

MIB = 1 << 20
USER = "c1f6a0d4-1b7e-4f0c-8a3d-2b9e6f5d4a03"


def content(piece: bytes) -> bytes:
    return envelope(USER, "?").replace(b'"?"', piece)


def to(user_id: object) -> bytes:
    return json.dumps(
        json.loads(envelope(USER, 0)) | {"payload": {"user_id": user_id, "content": 0}}
    ).encode()


RUBBISH: dict[str, tuple[bytes | None, str]] = {
    "tombstone": (None, "tombstone"),
    "empty": (b"", "not_json"),
    "binary": (bytes(range(256)), "not_utf8"),
    "scalar": (b"5", "not_object"),
    "array": (b"[{}]", "not_object"),
    "BOM": (b"\xef\xbb\xbf{}", "not_json"),
    "truncated": (envelope(USER, 0)[:-1], "not_json"),
    "two documents": (envelope(USER, 0) * 2, "not_json"),
    "depth 100 000": (b"[" * 100_000, "too_deep"),
    "deep content": (content(b"[" * 100_000 + b"]" * 100_000), "too_deep"),
    "NaN": (content(b"NaN"), "not_json"),
    "0xff": (content(b'"\xff"'), "not_utf8"),
    "lone surrogate": (content(b'"\\ud800"'), "not_json"),
    "no fields": (b'{"event_type":"Genesis.Session.Theme.Proposed"}', "missing_field"),
    "a payload that is a list": (
        json.dumps(json.loads(envelope(USER, 0)) | {"payload": []}).encode(),
        "invalid_field",
    ),
    "no user": (to(None), "missing_field"),
    "a number for a user": (to(42), "invalid_field"),
    "a user of 10 KB": (to("a" * 10_240), "invalid_field"),
    "a user with braces": (to("a}x{b"), "invalid_field"),
    "a user in braces": (to("{" + USER + "}"), "invalid_field"),
    "a user with line breaks": (to(USER + "\r\nid: 1"), "invalid_field"),
    "a user with NUL": (to(USER[:-1] + "\0"), "invalid_field"),
    "a user of other digits": (to(USER.replace("1", "\uff11")), "invalid_field"),
    "a pattern for a user": (to("*"), "invalid_field"),
    "another key for a user": (to("../wm"), "invalid_field"),
}
"""Each with the reason that it is rejected for."""


async def test_rubbish_is_accounted_for_and_what_follows_it_arrives(
    load: Load, settings: dict[str, str], new_topic: NewTopic
) -> None:
    url, letters = settings["REDIS__URL"], new_topic()
    reasons = Counter(reason for _, reason in RUBBISH.values())
    with running_bridge(QUICK | settings | {"KAFKA__DEAD_LETTER_TOPIC": letters}) as bridge:
        bridge.wait_until_probed()
        offsets = await load.produce_between(0, [value for value, _ in RUBBISH.values()])
        await load.produce(300, rubbish=False)
        await assert_exact(load, url)

        shown = numbers(bridge.port)
        assert_healthy(bridge)
    found = await kept(load.bootstrap, letters, len(RUBBISH))

    assert rejections(shown) == reasons
    assert shown["eventbridge_events_published_total"] == load.accepted
    assert shown["eventbridge_events_filtered_total"] == load.filtered
    assert shown[f'eventbridge_events_consumed_total{{topic="{load.topic}"}}'] == (
        load.accepted + load.filtered + len(RUBBISH)
    )
    assert {letter.value for letter in found if letter.key} == {value for value, _ in RUBBISH.values()}
    assert sorted(said(found, "offset")) == sorted(str(offset) for offset in offsets)
    assert Counter(said(found, "reason")) == reasons
    # Nobody but the load's users got anything, whatever the others were called.
    assert_only_known_keys(load, url)


def said(letters: Sequence[Any], what: str) -> list[str]:
    return [dict(letter.headers)[f"eventbridge-{what}"].decode() for letter in letters]


def rejections(shown: Any) -> Counter[str]:
    name = 'eventbridge_events_rejected_total{reason="'
    return Counter(
        {
            label.removeprefix(name)[:-2]: int(value)
            for label, value in shown.items()
            if label.startswith(name) and value
        }
    )


def assert_healthy(bridge: Bridge) -> None:
    assert bridge.process.poll() is None
    assert bridge.health("/health/ready")[0] == 200
    assert "Traceback" not in bridge.output()


def assert_only_known_keys(load: Load, url: str) -> None:
    shards = {each: shard_of(each, 8) for each in load.users}
    known = {stream(shard, user(each)) for each, shard in shards.items()} | {"eb:layout"}
    known |= {f"eb:{{{shard}}}:{name}" for shard in range(8) for name in ("wm", "meta", "tails")}
    with Redis.from_url(url, decode_responses=True) as client:
        assert set(client.scan_iter(count=1000)) <= known


async def test_a_user_written_in_capitals_is_the_same_user(load: Load, settings: dict[str, str]) -> None:
    url = settings["REDIS__URL"]
    async with running(settings):
        load.sent.update((name, 0) for name in load.users)
        await produce(load.bootstrap, Partition(load.topic, 0), *capitals(load.users))
        load.ends[0] = len(load.users)

        await assert_exact(load, url)
        assert_only_known_keys(load, url)


def capitals(users: Sequence[str]) -> list[bytes]:
    return [envelope(name.upper(), [0, 0]) for name in users]


@pytest.mark.real_kafka
async def test_giants_are_rejected_before_they_are_parsed_and_what_follows_arrives(
    load: Load, settings: dict[str, str], new_topic: NewTopic, group_id: str
) -> None:
    url, letters, topic = settings["REDIS__URL"], new_topic(), f"giants-{group_id}"
    create_topic(load.bootstrap, topic, partitions=4, config={"max.message.bytes": str(12 * MIB)})
    load.topic = topic
    giants = [
        envelope(USER, "x" * 10 * MIB),
        b"[" * 3 * MIB,
        b"\xff" * (MIB + 1),
        envelope(USER, "x" * 2 * MIB),
    ]
    options = {"KAFKA__TOPICS": topic, "KAFKA__DEAD_LETTER_TOPIC": letters, "KAFKA__FETCH_MAX_BYTES": "65536"}
    with running_bridge(QUICK | settings | options) as bridge:
        bridge.wait_until_probed()
        offsets = await load.produce_between(0, giants)
        await load.produce(300, rubbish=False)
        await assert_exact(load, url)

        assert rejections(numbers(bridge.port)) == Counter(too_large=len(giants))
        assert_healthy(bridge)
    found = await kept(load.bootstrap, letters, len(giants))

    assert sorted(said(found, "offset"), key=int) == [str(offset) for offset in offsets]
    assert set(said(found, "reason")) == {"too_large"}
    assert_only_known_keys(load, url)


async def test_bombs_isolate_their_partitions_and_cost_no_memory(
    load: Load, settings: dict[str, str]
) -> None:
    url = settings["REDIS__URL"]
    bombs = {0: batch(bytes(256 * MIB), codec="zstd"), 1: batch(bytes(128 * MIB), codec="gzip")}
    with running_bridge(QUICK | settings) as bridge:
        bridge.wait_until_probed()
        await load.produce(200)
        await assert_exact(load, url)
        before = memory_peak(bridge.process.pid)
        for partition, bomb in bombs.items():
            assert await produce_batch(load.bootstrap, Partition(load.topic, partition), bomb) == 0

        await load.produce(300, partitions=[2, 3])
        await assert_exact(load, url, but=[0, 1])
        await eventually(
            lambda: numbers(bridge.port)['eventbridge_partitions_halted{reason="POISONED"}'] == 2,
            "both partitions to be isolated",
        )
        await load.produce(100, partitions=[2, 3])
        await assert_exact(load, url, but=[0, 1])

        assert memory_peak(bridge.process.pid) - before < 64 * MIB
        assert bridge.process.poll() is None
        assert "Traceback" not in bridge.output()


@pytest.mark.parametrize("crash", ["no crash", "after refusal", "before checkpoint"])
async def test_a_user_whose_key_is_no_stream_costs_only_that_user(
    load: Load, settings: dict[str, str], own_redis: RedisServer, new_topic: NewTopic, crash: str
) -> None:
    letters = new_topic()
    settings |= {"REDIS__URL": own_redis.url, "KAFKA__DEAD_LETTER_TOPIC": letters}
    settings |= {"KAFKA__INSTANCE_ID": "bridge-1"}
    hit, key = load.users[0], stream(shard_of(load.users[0], 8), user(load.users[0]))
    own_redis.command("SET", key, "no stream")
    await load.produce(600, rubbish=False)
    if crash != "no crash":
        await killed(settings, crash, 4)
        await load.produce(100, rubbish=False)

    mine = {place: load.offsets[hit, place] for user_id, place in load.offsets if user_id == hit}
    for partition in load.partitions:
        del load.sent[hit, partition]
    async with running(settings | OTHER_BATCHES) as bridge:
        await assert_exact(load, own_redis.url)
        if crash == "no crash":
            assert bridge.number("events_rejected_total", reason="wrong_type") == len(mine)

    found = await kept(load.bootstrap, letters, len(mine))
    expected = {(partition, offset) for (partition, _), offset in mine.items()}
    assert (
        set(zip(map(int, said(found, "partition")), map(int, said(found, "offset")), strict=True)) == expected
    )
    assert own_redis.command("GET", key) == "no stream"
