"""Many wait until the store answers again; one of them asks."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

from .errors import SinkMisconfigured, SinkUnavailable

PAUSE_SECONDS: Final = (0.1, 2.0)
"""Between two questions, at first and at last."""


class Comeback:
    """For one event loop. `ask` is any call that the store answers, or that raises `SinkUnavailable` or
    `SinkMisconfigured`."""

    def __init__(self, ask: Callable[[], Awaitable[object]]) -> None:
        self._ask = ask
        self._answered = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None
        self._closed = False

    async def wait(self) -> None:
        """Return when the store answers, or at the end."""
        if self._closed:
            return
        if self._asking is None:
            self._answered = asyncio.Event()
            self._asking = asyncio.create_task(self._ask_until_answered(), name="comeback")
        await self._answered.wait()

    async def close(self) -> None:
        """Let everybody go, and ask no more."""
        self._closed = True
        self._answered.set()
        asking = self._asking
        if asking is not None:
            asking.cancel()
            await asyncio.wait({asking})

    async def _ask_until_answered(self) -> None:
        pause, longest = PAUSE_SECONDS
        try:
            while True:
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - spreads load
                try:
                    await self._ask()
                except (SinkUnavailable, SinkMisconfigured):
                    pause = min(2 * pause, longest)
                else:
                    return
        finally:
            self._asking = None
            self._answered.set()
