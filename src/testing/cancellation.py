"""Cancel a coroutine at each place where it waits."""

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


class Suspensions:
    """How often a coroutine has waited so far."""

    def __init__(self) -> None:
        self.count = 0


@types.coroutine
def _cancelling(
    coroutine: Coroutine[Any, Any, T], at: int, seen: Suspensions, cancel: Callable[[], object]
) -> Generator[Any, Any, T]:
    step: Callable[[Any], Any] = coroutine.send
    argument: Any = None
    while True:
        try:
            waited_for = step(argument)
        except StopIteration as end:
            result: T = end.value
            return result
        seen.count += 1
        if seen.count == at:
            cancel()
        try:
            argument = yield waited_for
            step = coroutine.send
        except BaseException as error:
            argument = error
            step = coroutine.throw


async def cancelled_at(suspension: int, coroutine: Coroutine[Any, Any, T]) -> bool:
    """Run the coroutine in a task that is cancelled where it waits for the n-th time (from 1).

    Answers whether it got that far: False means that it ended by itself before. What it raises by
    itself is raised here.
    """
    seen = Suspensions()
    loop = asyncio.get_running_loop()

    async def run() -> T:
        task = asyncio.current_task()
        assert task is not None
        return await _cancelling(coroutine, suspension, seen, lambda: loop.call_soon(task.cancel))

    task = loop.create_task(run())
    await asyncio.wait({task})
    if not task.cancelled() and (error := task.exception()) is not None and seen.count < suspension:
        raise error
    return seen.count >= suspension
