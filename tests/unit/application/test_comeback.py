"""Many wait for the store, one asks."""

import asyncio

from eventbridge.application.comeback import Comeback
from eventbridge.application.errors import SinkMisconfigured, SinkUnavailable


class Store:
    def __init__(self, *answers: Exception | None) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def ask(self) -> None:
        self.asked += 1
        answer = self._answers.pop(0)
        if answer is not None:
            raise answer


async def test_all_who_wait_go_on_with_one_answer() -> None:
    store = Store(SinkUnavailable("connection"), SinkMisconfigured("authentication"), None)
    comeback = Comeback(store.ask)

    async with asyncio.timeout(10):
        await asyncio.gather(*(comeback.wait() for _ in range(1000)))

    assert store.asked == 3


async def test_who_comes_later_asks_anew() -> None:
    store = Store(None, None)
    comeback = Comeback(store.ask)

    async with asyncio.timeout(10):
        await comeback.wait()
        await comeback.wait()

    assert store.asked == 2


async def test_at_the_end_everybody_goes_and_nothing_is_left_behind() -> None:
    store = Store(*[SinkUnavailable("connection")] * 100)
    comeback = Comeback(store.ask)
    before = asyncio.all_tasks()
    waiting = [asyncio.create_task(comeback.wait()) for _ in range(10)]
    await asyncio.sleep(0)

    await comeback.close()
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting, comeback.wait())

    assert asyncio.all_tasks() == before
