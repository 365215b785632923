"""The real Lua script does what a few lines of Python say, whatever comes in whatever order (row 56)."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from eventbridge.adapters.redis import keys, live_format
from eventbridge.adapters.redis.settings import RedisSettings
from eventbridge.adapters.redis.sse_service import RedisSSEService
from eventbridge.application.gateway_ports import LiveCopy
from eventbridge.domain.delivery import Answer, Applied, Batch, Entry, Gap, Mark, Partition
from eventbridge.domain.errors import EventBridgeError
from eventbridge.domain.message import SSEMessage
from eventbridge.domain.routing import Target, user
from tests.servers import RedisServer
from tests.servers.embedded import EmbeddedRedis
from tests.unit.domain.shard_model import ShardModel, ShardState

SOURCE = "a source"
TARGETS = [user(f"00000000-0000-4000-8000-00000000000{n}") for n in range(3)] + [user("a}x{b\r\n")]
PARTITIONS = [Partition("orders", n) for n in range(2)]

offsets = st.integers(0, 9)
texts = st.text(max_size=8)
entries = st.lists(
    st.builds(
        Entry,
        offset=offsets,
        target=st.sampled_from(TARGETS),
        event=st.sampled_from(["Genesis.Session.Started", "ü\0\r\n"]),
        data=texts.map(str.encode),
        timestamp=st.sampled_from([0, 1_700_000_000_123, 99_999_999_999_999]),
        traceparent=st.none() | st.just("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ),
    max_size=6,
    unique_by=lambda entry: entry.offset,
).map(lambda found: sorted(found, key=lambda entry: entry.offset))
marks = st.tuples(
    st.sampled_from(PARTITIONS),
    st.sampled_from([0, 0, 0, -1, 1, 3, None]),
    st.integers(-1, 10),
    st.sampled_from([(None, None), (0, None), (1_700_000_000_000, None), (1_700_000_000_000, 0), (0, 7)]),
    st.integers(-4, 0),
)
"""`previous` is drawn as a distance from the watermark; then comes the timestamp with the offset that it
belongs to, if that is not `upto`; the last number chooses the epoch that was seen: how many changes ago, 0
for none."""
steps = st.one_of(
    st.tuples(st.just("initialise"), marks),
    st.tuples(st.just("batch"), marks, entries),
    st.tuples(st.just("batch"), marks, entries),
    st.tuples(st.just("checkpoint"), st.lists(marks, min_size=1, max_size=3)),
    st.tuples(st.just("publish"), st.sampled_from(TARGETS), texts.map(str.encode)),
    st.tuples(st.just("occupy"), st.sampled_from(TARGETS)),
    st.tuples(st.just("lose tail"), st.sampled_from(TARGETS)),
    st.tuples(st.just("false tail"), st.sampled_from(TARGETS), st.sampled_from([0, 1, 2, None])),
    st.tuples(st.just("snapshot")),
    st.tuples(st.just("roll back")),
)


class Pair:
    """A shard of a real server and its model, which are told the same."""

    def __init__(self, url: str) -> None:
        client: Any = Redis.from_url(url, protocol=2)
        self.redis = client
        self.redis.flushdb()
        self.model = ShardModel()
        self.sink = RedisSSEService(RedisSettings(url=url, shards=1), SOURCE)
        self.live = self.redis.pubsub(ignore_subscribe_messages=True)
        self.live.subscribe(keys.live(0))
        while self.live.get_message(timeout=5) is not None:
            pass
        self.real_epochs: dict[str | None, str | None] = {None: None}
        self.spares: list[str] = []
        self.given: set[tuple[Target, bytes]] = set()
        self.misled: set[Target] = set()
        """Those whose tails were false once: what follows is not linked, and Redis chose ids."""
        self.saved: tuple[ShardState, set[Any], dict[bytes, tuple[bytes, int]]] = (ShardState(), set(), {})

    async def step(self, step: tuple[Any, ...]) -> None:
        spare = f"spare{len(self.spares):03}"
        match step:
            case ["initialise", mark]:
                await self.apply((self.mark(mark, initialise=True),), (), spare)
            case ["batch", mark, found]:
                await self.apply((self.mark(mark, initialise=False),), found, spare)
            case ["checkpoint", several]:
                await self.apply(tuple(self.mark(mark) for mark in several), (), spare)
            case ["publish", target, data]:
                await self.publish(target, data, spare)
            case ["occupy", target]:
                self.redis.set(keys.stream(0, target), "no stream")
                self.model.wrong_types.add(target)
                streams = {t: s for t, s in self.model.streams.items() if t != target}
                self.model.streams.clear()
                self.model.streams.update(streams)
            case ["lose tail", target]:
                self.redis.hdel(keys.tails(0), keys.target_name(target))
            case ["false tail", target, place]:
                self.mislead(target, place)
            case ["snapshot"]:
                dumps = {
                    key: (self.redis.dump(key), self.redis.pttl(key)) for key in self.redis.keys("eb:{*")
                }
                state = self.model.snapshot()
                copy = ShardState(
                    state.epoch, state.since, state.watermarks, state.timestamps, dict(state.streams)
                )
                self.saved = copy, set(self.model.wrong_types), dumps
            case ["roll back"]:
                state, wrong_types, dumps = self.saved
                streams = dict(state.streams)
                self.model.restore(
                    ShardState(state.epoch, state.since, state.watermarks, state.timestamps, streams)
                )
                self.model.wrong_types = set(wrong_types)
                self.redis.flushdb()
                for key, (value, life) in dumps.items():
                    self.redis.restore(key, max(life, 0), value)

    def mislead(self, target: Target, place: int | None) -> None:
        """Give the target the tail of an older entry, or of one far ahead that never was."""
        ids = self.ids(target)
        tail = b"9000000000000-1234567891001" if place is None else [*ids, b"1000000000000-1234567891001"][0]
        if place and len(ids) > place:
            tail = ids[place]
        self.redis.hset(keys.tails(0), keys.target_name(target), tail)
        self.misled.add(target)

    def ids(self, target: Target) -> list[bytes]:
        if target in self.model.wrong_types:
            return []
        return [identity for identity, _ in self.redis.xrange(keys.stream(0, target))]

    @contextmanager
    def appending(self) -> Iterator[None]:
        """Ids that are new afterwards were never given before, and are the tails."""
        before = {target: self.ids(target) for target in TARGETS}
        yield
        for target, known in before.items():
            if new := self.ids(target)[len(known) :]:
                again = self.given.intersection((target, identity) for identity in new)
                assert not again or target in self.misled
                self.given.update((target, identity) for identity in new)
                assert self.redis.hget(keys.tails(0), keys.target_name(target)) == new[-1]

    def mark(self, drawn: tuple[Any, ...], *, initialise: bool | None = None) -> Mark:
        partition, previous, upto, (timestamp, proof), ago = drawn
        if initialise is not None:
            previous = None if initialise else previous or 0
        if previous is not None:
            previous += self.model.state.watermarks.get(partition, -1)
        known = [None, *self.spares]
        seen = known[max(ago, -len(known) + 1)] if ago else None
        return Mark(partition, previous, upto, timestamp, seen, proof)

    async def apply(self, found: tuple[Mark, ...], entries: list[Entry] | tuple[()], spare: str) -> None:
        told = tuple(msgspec.structs.replace(m, epoch=self.real_epochs.get(m.epoch)) for m in found)
        with self.appending():
            real = await self.sink.apply(Batch(0, told, entries))

        expected = self.model.apply(Batch(0, found, entries), spare)

        self.compare_epochs(spare)
        assert list(real) == [self.translated(answer) for answer in expected]

    async def publish(self, target: Target, data: bytes, spare: str) -> None:
        message = SSEMessage(event="published", data=data)
        try:
            with self.appending():
                position = await self.sink.publish_event(target.id, message)
        except EventBridgeError:
            assert target in self.model.wrong_types
            return
        self.model.publish(Entry(0, target, "published", data, 0), spare)
        self.compare_epochs(spare)
        assert position.split(".")[0] == self.real_epochs[self.model.epoch]

    def compare_epochs(self, spare: str) -> None:
        if self.model.epoch == spare:
            self.spares.append(spare)
        real = self.redis.hget(keys.meta(0), "epoch")
        known = self.real_epochs.setdefault(self.model.epoch, real and real.decode())
        assert (real and real.decode()) == known
        assert len(set(self.real_epochs.values())) == len(self.real_epochs), "an epoch was given out again"

    def translated(self, answer: Answer) -> Answer:
        match answer:
            case Applied(appended, watermark, epoch):
                return Applied(appended, watermark, self.real_epochs[epoch or None] or "")
            case Gap(watermark, epoch):
                return Gap(watermark, self.real_epochs[epoch or None] or "")
        return answer

    def compare(self) -> None:
        for target in TARGETS:
            if target in self.model.wrong_types:
                continue
            real = self.redis.xrange(keys.stream(0, target))
            expected = self.model.streams.get(target, ())
            assert [described(fields) for _, fields in real] == [
                (e.entry.event, e.entry.data, e.partition and e.entry.timestamp, e.entry.traceparent)
                for e in expected
            ]
            ids = [identity for identity, _ in real]
            if target not in self.misled:
                assert [fields[b"prev"] for _, fields in real] == [b"0-0", *ids][: len(ids)]
            assert not ids or self.redis.ttl(keys.stream(0, target)) > 80_000
        known = {
            field.decode(): value.decode() for field, value in self.redis.hgetall(keys.watermarks(0)).items()
        }
        assert known == {
            keys.watermark_field(SOURCE, p): str(upto) for p, upto in self.model.state.watermarks.items()
        } | {
            keys.timestamp_field(SOURCE, p): str(ts) if proof is None else f"{ts}@{proof}"
            for p, (ts, proof) in self.model.state.timestamps.items()
        }
        assert (self.redis.hget(keys.meta(0), "since") is None) == (self.model.epoch is None)

    def compare_live(self) -> None:
        expected = [each for each in self.model.announced if not isinstance(each, str)]
        epochs = {self.real_epochs[each] for each in self.model.announced if isinstance(each, str)}
        copies: list[LiveCopy] = []
        while len(copies) < len(expected) or epochs:
            message = live_format.decode(self.live.get_message(timeout=5)["data"])
            copies += message.copies
            epochs.discard(message.epoch)
        assert self.live.get_message() is None
        assert [(c.target, c.event, c.data, c.traceparent) for c in copies] == [
            (
                keys.target_name(e.entry.target),
                e.entry.event,
                e.entry.data.decode(),
                e.entry.traceparent or "",
            )
            for e in expected
        ]

    async def close(self) -> None:
        await self.sink.close()
        self.live.close()
        self.redis.close()


def described(fields: dict[bytes, bytes]) -> tuple[str, bytes, int | None, str | None]:
    event = fields[b"event"].decode()
    tp = fields.get(b"tp")
    timestamp = None if event == "published" else int(fields[b"ts"])
    return event, fields[b"data"], timestamp, tp.decode() if tp else None


@pytest.fixture(scope="module", params=["system", "embedded"])
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with EmbeddedRedis() if request.param == "embedded" else RedisServer() as started:
        yield started


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    script=st.tuples(
        st.lists(st.just(("initialise", (PARTITIONS[0], None, -1, (None, None), 0))), max_size=1),
        st.lists(steps, max_size=15),
    ).map(lambda parts: [*parts[0], *parts[1]])
)
def test_the_script_answers_and_writes_what_the_model_does(
    server: RedisServer, script: list[tuple[Any, ...]]
) -> None:
    async def play() -> None:
        pair = Pair(server.url)
        try:
            for step in script:
                await pair.step(step)
                pair.compare()
            pair.compare_live()
        finally:
            await pair.close()

    asyncio.run(play())
