"""The ids that streams get, the tails beside them, and the lives that appends renew (DELIVERY.md 3)."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from redis import Redis

from eventbridge.adapters.redis import keys
from eventbridge.adapters.redis.sse_service import RedisSSEService
from eventbridge.domain.delivery import Applied
from eventbridge.domain.message import SSEMessage
from eventbridge.domain.position import Position, StreamId
from eventbridge.domain.routing import user
from tests.integration.redis.gateway import settings_of
from tests.integration.redis.sink import TARGETS, apply, batch, begin, entry
from tests.servers import RedisServer
from tests.servers.embedded import EmbeddedRedis

TARGET = TARGETS[0]
KEY = keys.stream(0, TARGET)
NAME = keys.target_name(TARGET)
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
PLAIN = 1_234_567_891_001
"""A sequence number as the first entry of a call gets it: nine digits of salt, four of the index."""
TURN = 10**13


@pytest.fixture(scope="module", params=["system", "embedded"])
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """Redis 7, and 6.2, whose scripts know no first line."""
    with EmbeddedRedis() if request.param == "embedded" else RedisServer() as started:
        yield started


class Store:
    """The server's data, and a sink that writes them."""

    def __init__(self, url: str, life_seconds: int) -> None:
        self.url = url
        self.redis: Any = Redis.from_url(url, protocol=2, decode_responses=True)
        self.redis.flushdb()
        self.sink = RedisSSEService(settings_of(url, stream_ttl_seconds=life_seconds), "main")

    def end_with(self, ms: int, sequence: int) -> str:
        """Let the target's stream end with this id, as if a call had appended it."""
        identity = f"{ms}-{sequence}"
        self.redis.xadd(KEY, {"data": '{"n":0}', "prev": "0-0"}, id=identity)
        self.redis.hset(keys.tails(0), NAME, identity)
        return identity

    async def publish(self) -> StreamId:
        """Append one entry; answers its id."""
        message = SSEMessage(event="note", data=b"{}")
        return Position.parse(await self.sink.publish_event(TARGET.id, message)).id

    async def publish_later(self) -> StreamId:
        """The same, in a later millisecond than that of the last id."""
        while now_ms() <= int(self.ids()[-1].partition("-")[0]):
            pass
        return await self.publish()

    def ids(self) -> Sequence[str]:
        return [identity for identity, _ in self.redis.xrange(KEY)]

    def last_prev(self) -> str:
        [(_, fields)] = self.redis.xrevrange(KEY, count=1)
        prev: str = fields["prev"]
        return prev

    def tail(self) -> str | None:
        found: str | None = self.redis.hget(keys.tails(0), NAME)
        return found


@pytest.fixture
async def store(server: RedisServer, request: pytest.FixtureRequest) -> Any:
    made = Store(server.url, getattr(request, "param", 86_400))
    async with made.sink:
        yield made
    made.redis.close()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def test_an_entrys_id_is_the_time_and_it_becomes_the_tail_and_the_next_ones_prev(store: Store) -> None:
    before = now_ms()

    first = await store.publish()
    second = await store.publish()

    assert before <= first.ms <= second.ms <= now_ms()
    assert store.tail() == str(second)
    assert store.last_prev() == str(first)


async def test_where_the_clock_is_behind_the_last_id_its_time_stays_and_the_ids_rise(store: Store) -> None:
    ahead = now_ms() + HOUR_MS
    store.end_with(ahead, PLAIN)

    first = await store.publish()
    second = await store.publish()

    assert (first.ms, first.sequence // TURN) == (ahead, 1)
    assert (second.ms, second.sequence // TURN) == (ahead, 2)


@pytest.mark.parametrize("sequence", [899 * TURN + PLAIN, 2**64 - 1])
async def test_where_the_turns_are_used_up_the_next_time_follows(store: Store, sequence: int) -> None:
    ahead = now_ms() + HOUR_MS
    store.end_with(ahead, sequence)

    following = await store.publish()

    assert (following.ms, following.sequence // TURN) == (ahead + 1, 1)


async def test_an_id_that_a_rollback_took_is_not_given_again(store: Store) -> None:
    ahead = now_ms() + HOUR_MS  # so that both calls see the same time
    store.end_with(ahead, PLAIN)

    first = await store.publish()
    store.redis.delete(KEY)
    store.end_with(ahead, PLAIN)
    second = await store.publish()

    assert first.ms == second.ms
    assert first != second


async def test_times_that_cannot_be_counted_are_left_to_redis(store: Store) -> None:
    store.end_with(2**60, 5)

    assert await store.publish() == (2**60, 6)
    assert await store.publish() == (2**60, 7)


@pytest.mark.parametrize("other", [None, "5-5", "no id"])
async def test_a_tail_that_is_missing_or_out_of_the_ordinary_is_looked_up(
    store: Store, other: str | None
) -> None:
    last = store.end_with(now_ms() - 5, PLAIN)
    if other is None:
        store.redis.delete(keys.tails(0))
    else:
        store.redis.hset(keys.tails(0), NAME, other)

    identity = await store.publish()

    assert store.last_prev() == last
    assert store.ids() == [last, str(identity)]


async def test_a_tail_whose_stream_has_expired_is_nobodys_prev(store: Store) -> None:
    store.end_with(now_ms() - 5, PLAIN)
    store.redis.delete(KEY)

    await store.publish()

    assert store.last_prev() == "0-0"


async def test_a_batch_is_whole_where_somebody_elses_higher_id_refuses_ours(store: Store) -> None:
    await begin(store.sink)
    ahead = now_ms() + HOUR_MS
    last = store.end_with(ahead, 5)
    store.redis.hset(keys.tails(0), NAME, f"{now_ms() - 5}-{PLAIN}")

    answer = await apply(store.sink, batch(-1, 2, *(entry(n) for n in range(3))))

    assert isinstance(answer, Applied)
    assert store.ids() == [last, f"{ahead}-6", f"{ahead}-7", f"{ahead}-8"]
    assert store.tail() == f"{ahead}-8"


async def test_the_ids_of_a_call_rise_however_many_there_are(store: Store) -> None:
    await begin(store.sink)

    await apply(store.sink, batch(-1, 9_999, *(entry(n, data=b"%d" % n) for n in range(10_000))))

    found = store.redis.xrange(KEY)
    kept = [int(fields["data"]) for _, fields in found]
    assert kept == list(range(10_000 - len(kept), 10_000))
    assert [fields["prev"] for _, fields in found][1:] == [identity for identity, _ in found][:-1]


async def test_a_call_may_touch_more_streams_than_one_command_takes(store: Store) -> None:
    await begin(store.sink)
    targets = [user(f"00000000-0000-4000-8000-{n:012}") for n in range(1_201)]

    for call in range(2):
        entries = [entry(call * 2_000 + n, target) for n, target in enumerate(targets)]
        await apply(store.sink, batch(call * 2_000 - 1, call * 2_000 + 1_999, *entries))

    tails = store.redis.hgetall(keys.tails(0))
    for target in targets:
        [(first, _), (second, fields)] = store.redis.xrange(keys.stream(0, target))
        assert fields["prev"] == first
        assert tails[keys.target_name(target)] == second


async def test_a_life_is_renewed_by_the_first_append_in_each_part_of_it(store: Store) -> None:
    part = 10**6
    store.redis.hset(keys.meta(0), mapping={"epoch": "longsame", "since": 1, "life": DAY_MS})
    store.end_with(now_ms() - part, PLAIN)

    await store.publish()
    renewed = store.redis.pttl(KEY)
    store.redis.persist(KEY)
    await store.publish_later()
    untouched = store.redis.pttl(KEY)

    assert DAY_MS + part - 60_000 < renewed <= DAY_MS + part
    assert untouched == -1


async def test_a_life_is_renewed_by_each_append_while_the_clock_is_behind_and_once_after(
    store: Store,
) -> None:
    ahead = now_ms() + 50
    store.end_with(ahead, PLAIN)

    await store.publish()
    behind = store.redis.pttl(KEY)
    store.redis.persist(KEY)
    await store.publish_later()
    after = store.redis.pttl(KEY)
    store.redis.persist(KEY)
    await store.publish_later()

    assert behind > DAY_MS
    assert after > DAY_MS
    assert store.redis.pttl(KEY) == -1


@pytest.mark.parametrize("changed", [False, True], ids=["same epoch", "next epoch"])
async def test_a_life_is_renewed_where_the_last_append_may_have_given_a_shorter_one(
    store: Store, changed: bool
) -> None:
    async with RedisSSEService(settings_of(store.url, stream_ttl_seconds=60), "main") as other:
        await other.publish_event(TARGET.id, SSEMessage(event="note", data=b"{}"))
    if changed:
        await begin(store.sink)
        await apply(store.sink, batch(99, 100, epoch=store.redis.hget(keys.meta(0), "epoch")))
    before = store.redis.pttl(KEY)

    await store.publish_later()

    assert 0 < before < HOUR_MS
    assert store.redis.pttl(KEY) > DAY_MS


@pytest.mark.parametrize("store", [1], indirect=True)
async def test_a_stream_of_the_shortest_life_lives_as_long_and_a_hundredth_more(store: Store) -> None:
    await store.publish()

    assert 0 < store.redis.pttl(KEY) <= 1_010


@pytest.mark.parametrize("store", [1], indirect=True)
async def test_checkpoints_drop_the_tails_of_expired_streams_some_at_a_time(store: Store) -> None:
    old = {f"user:{n}": f"{now_ms() - 3_000}-{PLAIN}" for n in range(1_000)}
    young = {"user:young": f"{now_ms() + HOUR_MS}-{PLAIN}"}
    await begin(store.sink)
    store.redis.hset(keys.tails(0), mapping=old | young)

    await apply(store.sink, batch(-1, 0))
    left = store.redis.hlen(keys.tails(0))
    for _ in range(20):
        await apply(store.sink, batch(0, 0))

    assert 1_000 - left <= 200
    assert store.redis.hlen(keys.tails(0)) < 50
    assert store.redis.hexists(keys.tails(0), "user:young")


async def test_tails_are_found_without_a_search_however_few_there_are(store: Store) -> None:
    await begin(store.sink)

    await store.publish()

    assert store.redis.object("encoding", keys.tails(0)) == "hashtable"
