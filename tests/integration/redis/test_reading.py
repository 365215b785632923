"""Streams as readers find them: pages, the end, and what comes after."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from eventbridge.adapters.redis.settings import RedisSettings
from eventbridge.adapters.redis.sse_service import RedisSSEService
from eventbridge.domain.delivery import Applied
from eventbridge.domain.message import SSEMessage
from eventbridge.domain.position import START, Position
from tests.integration.redis.sink import TARGETS, apply, batch, begin, entry

TARGET = TARGETS[0]


@pytest.fixture
async def sink(redis_url: str, source_name: str) -> AsyncIterator[RedisSSEService]:
    settings = RedisSettings(url=redis_url, shards=1, timeout_seconds=1)
    async with RedisSSEService(settings, source_name) as opened:
        yield opened


async def test_pages_follow_each_other_without_a_hole(sink: RedisSSEService) -> None:
    await begin(sink)
    answer = await apply(sink, batch(-1, 6, *(entry(n) for n in range(7))))
    assert isinstance(answer, Applied)

    first = await sink.history(TARGET, None, 3)
    second = await sink.history(TARGET, first.position(first.entries[-1]), 100)
    third = await sink.history(TARGET, second.position(second.entries[-1]), 100)

    found = [*first.entries, *second.entries]
    assert [each.data for each in found] == [entry(n).data for n in range(7)]
    assert [each.prev for each in found] == [START, *(each.id for each in found[:-1])]
    assert [each.timestamp for each in found] == [1_000 + n for n in range(7)]
    assert third.entries == []
    assert {page.epoch for page in (first, second, third)} == {answer.epoch}


async def test_a_shard_that_was_never_written_has_no_epoch_and_no_end(sink: RedisSSEService) -> None:
    page = await sink.history(TARGET, None, 10)
    end = await sink.end(TARGET)

    assert (page.epoch, page.since, page.entries) == (None, None, [])
    assert end is None


async def test_from_the_end_of_no_stream_an_entry_of_the_same_millisecond_is_not_missed(
    sink: RedisSSEService,
) -> None:
    await begin(sink)
    ends = {target: await sink.end(target) for target in TARGETS}
    await apply(sink, batch(-1, 49, *(entry(n, target) for n, target in enumerate(TARGETS))))

    pages = [await sink.history(target, end, 10) for target, end in ends.items()]

    assert [len(page.entries) for page in pages] == [1] * 50


async def test_the_end_of_no_stream_is_the_last_id_of_the_millisecond_before(sink: RedisSSEService) -> None:
    await begin(sink)

    end = await sink.end(TARGET)
    position = await sink.publish_event(TARGET.id, SSEMessage(event="note", data=b"{}"))

    assert end is not None
    assert end.id.sequence == 2**64 - 1
    assert end.id.ms < Position.parse(position).id.ms


async def test_from_the_end_of_a_stream_only_what_comes_is_read(sink: RedisSSEService) -> None:
    await begin(sink)
    await apply(sink, batch(-1, 0, entry(0)))
    end = await sink.end(TARGET)
    await apply(sink, batch(0, 1, entry(1)))

    page = await sink.history(TARGET, end, 10)

    assert [each.data for each in page.entries] == [entry(1).data]


async def test_following_yields_what_is_there_and_what_comes_however_long_it_takes(
    sink: RedisSSEService,
) -> None:
    await sink.publish_event(TARGET.id, SSEMessage(event="note", data=b"0"))
    stream = sink.follow(TARGET, None)

    found = [await anext(stream)]
    for n in range(1, 4):
        next_entry = asyncio.ensure_future(anext(stream))
        # Longer than one read may block: the follower has to ask again.
        done, _ = await asyncio.wait({next_entry}, timeout=0.7)
        assert not done
        position = await sink.publish_event(TARGET.id, SSEMessage(event="note", data=b"%d" % n))
        found.append(await next_entry)
        assert str(found[-1][0]) == position
    await stream.aclose()

    assert [each.data for _, each in found] == [b"0", b"1", b"2", b"3"]


async def test_following_from_a_position_that_is_past_leaves_out_what_was_read(sink: RedisSSEService) -> None:
    await begin(sink)
    await apply(sink, batch(-1, 299, *(entry(n) for n in range(300))))
    page = await sink.history(TARGET, None, 50)

    stream = sink.follow(TARGET, page.position(page.entries[-1]))
    found = [await anext(stream) for _ in range(250)]
    await stream.aclose()

    assert [each.data for _, each in found] == [entry(n).data for n in range(50, 300)]
