"""What the gateway reads from Redis: pages of a stream with all that proves a cursor's continuity."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest
from redis import Redis

from eventbridge.adapters.redis import keys
from eventbridge.adapters.redis.layout import LayoutMismatch
from eventbridge.adapters.redis.settings import RedisSettings
from eventbridge.adapters.redis.sse_service import RedisSSEService
from eventbridge.application.errors import SinkMisconfigured, SinkUnavailable
from eventbridge.domain.continuity import ResetReason, disproof, fresh_start
from eventbridge.domain.position import START, Position, StreamId
from eventbridge.testing.cancellation import cancelled_at
from tests.integration.redis.gateway import feeding
from tests.integration.redis.sink import TARGETS, apply, batch, begin, entry
from tests.servers import RedisServer
from tests.servers.proxy import RedisProxy

USER = TARGETS[0]
KEY = keys.stream(0, USER)
LARGEST = 2**64 - 1


async def fill(url: str, count: int, life: int = 86_400) -> None:
    """Write so many entries to the user's stream, as a bridge does that gives it so many seconds' life."""
    settings = RedisSettings(url=url, shards=1, stream_ttl_seconds=life)
    async with RedisSSEService(settings, "main") as sink:
        await begin(sink)
        await apply(sink, batch(-1, count - 1, *(entry(n) for n in range(count))))


def send(url: str, *words: str | int) -> object:
    with Redis.from_url(url) as client:
        return client.execute_command(*words)


async def test_a_page_has_the_entries_after_the_cursor_and_what_proves_it(redis_url: str) -> None:
    await fill(redis_url, 5, life=60)

    async with feeding(redis_url) as feed:
        whole = await feed.read(USER, None, 10)
        first, second, *_, last = whole.entries
        page = await feed.read(USER, second.id, 2)

    assert [each.data for each in whole.entries] == [f'{{"n":{n}}}' for n in range(5)]
    assert [each.data for each in page.entries] == ['{"n":2}', '{"n":3}']
    assert (first.prev, second.prev, page.entries[0].prev) == (START, first.id, second.id)
    assert (first.event, first.timestamp, first.traceparent) == ("Genesis.Session.Updated", 1_000, None)
    assert (page.view.first_id, page.view.first_prev, page.view.last_id) == (first.id, START, last.id)
    assert (page.view.length, page.view.life_ms, page.view.cursor_exists) == (5, 60_000, True)
    assert not whole.view.cursor_exists
    assert page.view.epoch is not None
    assert page.view.since is not None
    assert page.view.since <= last.id.ms <= page.view.now
    assert disproof(Position(page.view.epoch, second.id), page.view) is None


async def test_a_page_trusts_no_longer_life_than_any_that_was_written_with(redis_url: str) -> None:
    lives = []
    async with feeding(redis_url, stream_ttl_seconds=1_000) as feed:
        lives.append((await feed.read(USER, None, 1)).view.life_ms)
        for count, seconds in enumerate((60, 90, 30, 3_600), 1):
            await fill(redis_url, count, life=seconds)
            lives.append((await feed.ends(0, [USER])).empty.life_ms)

    assert lives == [1_000_000, 60_000, 60_000, 30_000, 30_000]


async def test_what_came_and_went_sooner_than_the_gateway_was_told_is_not_passed_over(redis_url: str) -> None:
    async with feeding(redis_url, stream_ttl_seconds=86_400) as feed:
        await fill(redis_url, 0)
        moment = fresh_start((await feed.read(USER, None, 1)).view)
        await fill(redis_url, 1, life=1)
        send(redis_url, "DEL", KEY)  # as if its life were over
        view = (await feed.read(USER, moment.id, 10)).view

    later = msgspec.structs.replace(view, now=view.now + 1_000)
    assert disproof(moment, later) is ResetReason.EXPIRED


async def test_the_last_entries_come_oldest_first(redis_url: str) -> None:
    await fill(redis_url, 5)

    async with feeding(redis_url) as feed:
        page = await feed.read_last(USER, 2)
        all_of_them = await feed.read_last(USER, 100)

    assert [each.data for each in page.entries] == ['{"n":3}', '{"n":4}']
    assert page.view.first_id == all_of_them.entries[0].id
    assert page.view.last_id == page.entries[-1].id
    assert not page.view.cursor_exists


async def test_the_ends_of_many_streams_are_told_together(redis_url: str) -> None:
    await fill(redis_url, 5, life=60)

    async with feeding(redis_url) as feed:
        page = await feed.read_last(USER, 1)
        ends = await feed.ends(0, [TARGETS[1], USER])

    assert ends.last_ids == [None, page.entries[0].id]
    assert (ends.empty.epoch, ends.empty.since) == (page.view.epoch, page.view.since)
    assert ends.empty.now >= page.view.now
    assert (ends.empty.length, ends.empty.last_id, ends.empty.life_ms) == (0, None, 60_000)


async def test_a_stream_that_is_not_there_has_no_ends_and_a_shard_never_written_no_epoch(
    redis_url: str,
) -> None:
    async with feeding(redis_url) as feed:
        unwritten = await feed.read(USER, StreamId(1, 1), 10)
        await fill(redis_url, 1)
        other = await feed.read(TARGETS[1], None, 10)
        last = await feed.read_last(TARGETS[1], 10)

    assert (unwritten.view.epoch, unwritten.view.since, unwritten.entries) == (None, None, [])
    assert other.view.epoch is not None
    assert (other.view.first_id, other.view.first_prev, other.view.last_id) == (None, None, None)
    assert (other.view.length, other.entries, last.entries) == (0, [], [])


async def test_a_cursor_that_was_trimmed_away_is_the_prev_of_the_first_entry_kept(redis_url: str) -> None:
    await fill(redis_url, 3)

    async with feeding(redis_url) as feed:
        gone = (await feed.read(USER, None, 1)).entries[0].id
        send(redis_url, "XDEL", KEY, str(gone))
        page = await feed.read(USER, gone, 10)

    assert not page.view.cursor_exists
    assert page.view.first_prev == gone
    assert len(page.entries) == 2


@pytest.mark.parametrize(
    "cursor",
    [START, StreamId(0, LARGEST), StreamId(LARGEST, 0), StreamId(LARGEST, LARGEST), StreamId(2**63, 2**63)],
)
async def test_any_pair_of_numbers_may_be_asked_for(redis_url: str, cursor: StreamId) -> None:
    await fill(redis_url, 2)

    async with feeding(redis_url) as feed:
        page = await feed.read(USER, cursor, 10)

    assert not page.view.cursor_exists
    assert len(page.entries) == (2 if cursor.ms == 0 else 0)
    assert page.view.length == 2


async def test_view_and_entries_are_of_one_moment(redis_url: str) -> None:
    await fill(redis_url, 1)
    sink = RedisSSEService(RedisSettings(url=redis_url, shards=1), "main")
    async with sink, feeding(redis_url) as feed:
        done = asyncio.Event()

        async def write() -> None:
            for offset in range(1, 300):
                await apply(sink, batch(offset - 1, offset, entry(offset)))
            done.set()

        async with asyncio.TaskGroup() as both:
            both.create_task(write())
            torn = []
            while not done.is_set():
                page = await feed.read(USER, None, 1000)
                if (page.view.last_id, page.view.length) != (page.entries[-1].id, len(page.entries)):
                    torn.append(page)

    assert torn == []


@pytest.mark.parametrize("timestamp", ["soon", "-1", "9" * 5_000])
async def test_a_foreign_entry_does_no_harm(redis_url: str, timestamp: str) -> None:
    await fill(redis_url, 1)
    send(redis_url, "XADD", KEY, "*", "prev", "no id", "ts", timestamp, "event", b"\xff", "more", "x")  # type: ignore[arg-type]  # bytes

    async with feeding(redis_url) as feed:
        _, foreign = (await feed.read(USER, None, 10)).entries

    assert (foreign.prev, foreign.timestamp, foreign.data) == (START, None, "")


async def test_another_layout_is_told_instead_of_streams_that_seem_empty(redis_url: str) -> None:
    await fill(redis_url, 1)

    async with feeding(redis_url, shards=2) as feed:
        with pytest.raises(LayoutMismatch, match="eb:layout says shards = 1, the settings say 2"):
            await feed.read(USER, None, 1)


async def test_a_key_that_is_no_stream_holds_no_events_and_keeps_nobody_else_from_theirs(
    redis_url: str,
) -> None:
    """The bridge's dead letters tell of it; a refusal would let the hub take its whole shard for away."""
    await fill(redis_url, 2)
    other = TARGETS[1]
    send(redis_url, "SET", keys.stream(0, other), "no stream")

    async with feeding(redis_url) as feed:
        mine = await feed.read_last(USER, 1)
        page = await feed.read(other, mine.entries[0].id, 10)
        last = await feed.read_last(other, 10)
        ends = await feed.ends(0, [other, USER])

    assert (page.entries, last.entries, page.view.last_id, page.view.length) == ([], [], None, 0)
    assert ends.last_ids == [None, mine.entries[0].id]


async def test_a_key_of_ours_that_is_no_hash_is_for_an_operator(redis_url: str) -> None:
    send(redis_url, "SET", keys.meta(0), "no hash")

    async with feeding(redis_url) as feed:
        with pytest.raises(SinkMisconfigured) as refusal:
            await feed.read(USER, None, 1)

    assert refusal.value.reason == "wrong_type"


async def test_a_server_that_is_away_or_silent_is_unavailable_and_then_read_again(
    redis_server: Callable[..., RedisServer],
) -> None:
    server = redis_server()
    await fill(server.url, 1)
    async with RedisProxy(server.port) as proxy, feeding(proxy.url, timeout_seconds=0.3) as feed:
        proxy.fall_silent()
        with pytest.raises(SinkUnavailable) as silent:
            await feed.read(USER, None, 1)
        proxy.heal()
        again = await feed.read(USER, None, 1)
        server.kill()
        with pytest.raises(SinkUnavailable) as away:
            await feed.read(USER, None, 1)

    assert silent.value.reason == "timeout"
    assert away.value.reason == "connection"
    assert len(again.entries) == 1


async def test_wherever_a_read_is_cancelled_the_next_one_reads_its_own_reply(redis_url: str) -> None:
    await fill(redis_url, 3)
    async with feeding(redis_url) as feed:
        count, suspended = 0, True

        while suspended:
            count += 1
            suspended = await cancelled_at(count, feed.read(USER, None, 10))
            pages = await asyncio.gather(*(feed.read_last(USER, n) for n in (1, 2, 3)))

            assert [len(page.entries) for page in pages] == [1, 2, 3]

    assert count > 1
