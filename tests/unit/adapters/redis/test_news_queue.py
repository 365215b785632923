import asyncio

from eventbridge.adapters.redis.news_queue import ROOM_BYTES, NewsQueue


async def test_what_came_is_taken_all_at_once_and_in_order() -> None:
    queue: NewsQueue[int] = NewsQueue()
    queue.put([1, 2], 10)
    queue.put([], 5)
    queue.put([3])

    first = await queue.take()
    queue.put([4])

    assert first == [1, 2, 3]
    assert await queue.take() == [4]


async def test_a_taker_waits_for_news() -> None:
    queue: NewsQueue[int] = NewsQueue()
    taking = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    queue.put([])
    await asyncio.sleep(0)
    waits = not taking.done()

    queue.put([1])

    assert waits
    assert await taking == [1]


async def test_a_writer_waits_only_while_too_much_was_not_taken() -> None:
    queue: NewsQueue[int] = NewsQueue()
    queue.put([1], ROOM_BYTES)
    await queue.room()
    queue.put([2], 1)
    waiting = asyncio.create_task(queue.room())
    await asyncio.sleep(0)
    waits = not waiting.done()

    taken = await queue.take()
    await waiting

    assert waits
    assert taken == [1, 2]


async def test_messages_that_were_worth_no_news_make_room_too() -> None:
    queue: NewsQueue[int] = NewsQueue()
    queue.put([], ROOM_BYTES + 1)

    await asyncio.wait_for(queue.room(), 1)
