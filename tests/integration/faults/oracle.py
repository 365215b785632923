"""Who knows what must be where: numbered records go in, and every stream is read in the end."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from redis import Redis

from tests.integration.kafka.members import producing

LIMIT_SECONDS = 40.0
"""For whatever a test waits for; only a failing test takes so long."""

Place = tuple[int, int]
"""A partition, and the number of a user's record in it."""


def envelope(user: str, content: Any, **changes: Any) -> bytes:
    """An event that pages may see."""
    session = str(uuid.uuid5(uuid.NAMESPACE_OID, user))
    return json.dumps(
        {
            "event_id": str(uuid.uuid4()),
            "event_type": "Genesis.Session.Theme.Proposed",
            "aggregate_id": session,
            "correlation_id": str(uuid.uuid4()),
            "payload": {"user_id": user, "timestamp": "2026-03-14T15:09:26Z", "content": content},
            **changes,
        }
    ).encode()


class Load:
    """A producer that numbers its records per user and partition, and what must come of them."""

    def __init__(self, bootstrap: str, topic: str, *, users: int = 20, partitions: int = 4) -> None:
        self.bootstrap = bootstrap
        self.topic = topic
        self.users = [str(uuid.uuid4()) for _ in range(users)]
        self.partitions = range(partitions)
        self.sent: Counter[tuple[str, int]] = Counter()
        """By user and partition, how many there are."""
        self.ends: Counter[int] = Counter()
        """By partition, the offset after its last record, or after the mark of its last transaction."""
        self.filtered = self.rejected = 0
        self.offsets: dict[tuple[str, Place], int] = {}
        self._random = random.Random(7)

    @property
    def accepted(self) -> int:
        """How many entries there must be in all."""
        return self.sent.total()

    async def produce(
        self, count: int, *, partitions: Sequence[int] | None = None, rubbish: bool = True
    ) -> None:
        """Append so many events for users, and among them others: filtered ones, and rubbish."""
        async with producing(self.bootstrap, linger_ms=2) as producer:
            sent = []
            for _ in range(count):
                user = self._random.choice(self.users)
                partition = self._random.choice(partitions or self.partitions)
                place = (partition, self.sent[user, partition])
                self.sent[user, partition] += 1
                for value in self._with_others(envelope(user, list(place)), rubbish):
                    key = user.encode()
                    stored = await producer.send(self.topic, value, key=key, partition=partition)
                    sent.append(((user, place), stored))
            for _, stored in sent:
                at = await stored
                self.ends[at.partition] = max(self.ends[at.partition], at.offset + 1)
            self.offsets |= {whose: stored.result().offset for whose, stored in sent}

    async def produce_transactions(self, *outcomes: bool, size: int = 20) -> None:
        """Append transactions: the events of those that are committed (True) count, of the others none."""
        for number, committed in enumerate(outcomes):
            name = f"{self.topic}-{len(self.offsets)}-{number}"
            async with producing(self.bootstrap, transactional_id=name) as producer:
                await producer.begin_transaction()
                for _ in range(size):
                    user, partition = self._random.choice(self.users), self._random.choice(self.partitions)
                    content = [partition, self.sent[user, partition]] if committed else [partition, -1]
                    self.sent[user, partition] += committed
                    at = await producer.send_and_wait(
                        self.topic, envelope(user, content), partition=partition
                    )
                    self.ends[partition] = max(self.ends[partition], at.offset + 2)
                await (producer.commit_transaction() if committed else producer.abort_transaction())

    async def produce_between(self, partition: int, odd: Sequence[bytes | None]) -> list[int]:
        """Append each of these as it is, and an event after each; answers the offsets of the odd ones."""
        offsets = []
        async with producing(self.bootstrap, max_request_size=1 << 24) as producer:
            for value in odd:
                at = await producer.send_and_wait(self.topic, value, key=b"odd", partition=partition)
                offsets.append(at.offset)
                user = self._random.choice(self.users)
                place = (partition, self.sent[user, partition])
                self.sent[user, partition] += 1
                at = await producer.send_and_wait(
                    self.topic, envelope(user, list(place)), partition=partition
                )
                self.offsets[user, place] = at.offset
                self.ends[partition] = at.offset + 1
        return offsets

    def _with_others(self, value: bytes, rubbish: bool) -> Iterator[bytes]:
        kind = self._random.random()
        if kind < 0.15:
            self.filtered += 1
            yield envelope(self.users[0], 0, event_type="Genesis.Session.Theme.Requested")
        elif kind < 0.2 and rubbish:
            self.rejected += 1
            yield b"\xff\x00 no event"
        yield value


@dataclass(frozen=True, slots=True)
class Verdict:
    """How what is in the streams differs from what was produced; all empty: exact."""

    missing: frozenset[tuple[str, Place]]
    duplicates: frozenset[tuple[str, Place]]
    unknown: frozenset[tuple[str, Place]]
    disordered: tuple[str, ...]
    broken: tuple[str, ...]
    """Users in whose streams an entry's `prev` is not the entry before it."""

    @property
    def but_for_missing(self) -> Verdict:
        """The same, as if nothing were missing."""
        return replace(self, missing=frozenset())

    def __str__(self) -> str:
        sets = ("missing", "duplicates", "unknown", "disordered", "broken")
        return ", ".join(f"{len(getattr(self, n))} {n} {sorted(getattr(self, n))[:5]}" for n in sets)


EXACT = Verdict(frozenset(), frozenset(), frozenset(), (), ())


def judge(load: Load, url: str, *, but: Sequence[int] = ()) -> Verdict:
    """Read every stream and compare; what is missing of some partitions is not looked at."""
    seen: Counter[tuple[str, Place]] = Counter()
    disordered, broken = [], []
    for user, entries in streams(url).items():
        numbers: defaultdict[int, list[int]] = defaultdict(list)
        before = b"0-0"
        for identity, fields in entries:
            if fields[b"prev"] != before and user not in broken:
                broken.append(user)
            before = identity
            partition, number = json.loads(fields[b"data"])["payload"]
            numbers[partition].append(number)
            seen[user, (partition, number)] += 1
        disordered += [f"{user}/{p}" for p, found in numbers.items() if found != sorted(found)]
    wanted = {(user, (p, number)) for (user, p), count in load.sent.items() for number in range(count)}
    absent = wanted - seen.keys()
    return Verdict(
        missing=frozenset(whose for whose in absent if whose[1][0] not in but),
        duplicates=frozenset(whose for whose, count in seen.items() if count > 1),
        unknown=frozenset(seen.keys() - wanted),
        disordered=tuple(disordered),
        broken=tuple(broken),
    )


def streams(url: str) -> Mapping[str, Sequence[tuple[bytes, Mapping[bytes, bytes]]]]:
    """Every user's stream, by user; what is no stream under a user's key is left out."""
    found: dict[str, Any] = {}
    with Redis.from_url(url) as client:
        for key in client.scan_iter("eb:{*}:user:*", count=1000):
            if client.type(key) == b"stream":
                found[key.decode().rpartition(":")[2]] = client.xrange(key)
    return found


def watermarks(url: str, topic: str) -> Mapping[tuple[int, int], int]:
    """By shard and partition, how far it was applied."""
    found = {}
    with Redis.from_url(url) as client:
        for key in client.scan_iter("eb:{*}:wm", count=1000):
            shard = int(key.decode().split("{")[1].split("}")[0])
            hashed: Any = client.hgetall(key)
            for field, value in hashed.items():
                _, of, partition, *rest = field.decode().split("/")
                if of == topic and not rest:
                    found[shard, int(partition)] = int(value)
    return found


def epochs(url: str) -> Mapping[int, str]:
    """The epoch of each shard that has one."""
    with Redis.from_url(url, decode_responses=True) as client:
        keys = list(client.scan_iter("eb:{*}:meta", count=1000))
        return {int(key.split("{")[1].split("}")[0]): str(client.hget(key, "epoch")) for key in keys}


def is_applied(load: Load, url: str, *, shards: int, but: Sequence[int] = ()) -> bool:
    """Whether every shard has everything of every partition but some: nothing more is to come."""
    marks = watermarks(url, load.topic)
    return all(
        marks.get((shard, partition), -1) >= end - 1
        for partition, end in load.ends.items()
        if partition not in but
        for shard in range(shards)
    )


async def kept(bootstrap: str, topic: str, count: int) -> list[Any]:
    """Wait for so many records in a topic of four partitions; return all that came until then."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, number) for number in range(4)])
        found: list[Any] = []
        async with asyncio.timeout(LIMIT_SECONDS):
            while len(found) < count:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
        return found
    finally:
        await consumer.stop()


async def eventually(holds: Callable[[], bool], what: str, seconds: float = LIMIT_SECONDS) -> None:
    """Ask again and again, beside the event loop, until it holds; fails after the limit."""
    try:
        async with asyncio.timeout(seconds):
            while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - what servers hold is asked for
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited {seconds:g} s in vain for {what}") from None


async def assert_exact(load: Load, url: str, *, shards: int = 8, but: Sequence[int] = ()) -> None:
    """Wait until everything is applied; then nothing may be missing, twice, or out of order."""
    try:
        await eventually(
            lambda: is_applied(load, url, shards=shards, but=but), "every shard to have everything"
        )
    except AssertionError as late:
        raise AssertionError(
            f"{late}; {judge(load, url, but=but)}; {dict(watermarks(url, load.topic))}"
        ) from None
    verdict = await asyncio.to_thread(judge, load, url, but=but)
    assert verdict == EXACT, str(verdict)
