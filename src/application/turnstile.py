"""Lets a crowd in a few at a time, so that whoever is inside already is served in between."""

import asyncio
from collections import deque
from typing import Final

AT_ONCE: Final = 8
"""Let in per turn of the event loop: some milliseconds of work."""


class Turnstile:
    """Who passes it goes on at once, or in one of the next turns of the loop, in the order of arrival.

    Thousands of requests that arrive together would else all be taken up in the same turn, and events for
    pages that are there wait until the last of them is done. For one event loop.
    """

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._passed = 0
        """In this turn."""
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def passing(self) -> None:
        """Wait for one's turn."""
        loop = asyncio.get_running_loop()
        if not self._passed:
            loop.call_soon(self._turn, loop)
        if self._passed < self._at_once:
            self._passed += 1
            return
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._passed = 0
        while self._waiting and self._passed < self._at_once:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                self._passed += 1
        if self._passed:
            loop.call_soon(self._turn, loop)
