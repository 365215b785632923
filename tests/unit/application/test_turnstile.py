import asyncio

from eventbridge.application.turnstile import Turnstile

from .hub_under_test import pause


class Crowd:
    """Who has passed, in order."""

    def __init__(self, turnstile: Turnstile) -> None:
        self.turnstile = turnstile
        self.inside: list[int] = []

    async def come(self, number: int) -> None:
        await self.turnstile.passing()
        self.inside.append(number)


async def test_a_crowd_passes_in_order_a_few_in_each_turn_of_the_loop() -> None:
    crowd = Crowd(Turnstile(at_once=3))
    tasks = [asyncio.create_task(crowd.come(number)) for number in range(10)]

    seen = []
    while len(crowd.inside) < len(tasks):
        await asyncio.sleep(0)
        seen.append(len(crowd.inside))

    assert crowd.inside == list(range(10))
    assert max(later - before for before, later in zip([0, *seen], seen, strict=False)) == 3


async def test_who_comes_alone_does_not_wait() -> None:
    crowd = Crowd(Turnstile(at_once=1))

    for number in range(3):
        task = asyncio.create_task(crowd.come(number))
        await asyncio.sleep(0)
        assert task.done()
        await asyncio.sleep(0)


async def test_who_gives_up_waiting_keeps_nobody_else() -> None:
    crowd = Crowd(Turnstile(at_once=1))
    tasks = [asyncio.create_task(crowd.come(number)) for number in range(4)]
    await asyncio.sleep(0)

    tasks[1].cancel()
    tasks[2].cancel()
    await pause(3)  # what the next one takes; with a turn for each who gave up it would be too late

    assert crowd.inside == [0, 3]
