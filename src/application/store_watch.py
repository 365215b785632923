"""Whether the store answers, for operators: asked all the time, also while no page needs it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from .errors import SinkMisconfigured, SinkUnavailable
from .health import Check
from .ports import Clock

ASK_SECONDS: Final = 2.0
"""Between two questions."""


class StoreWatch:
    """For one event loop; `run` asks. `ask` is any call that the store answers, or that raises
    `SinkUnavailable` or `SinkMisconfigured`."""

    def __init__(
        self, ask: Callable[[], Awaitable[object]], clock: Clock, *, ask_seconds: float = ASK_SECONDS
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._ask_seconds = ask_seconds
        self._away_since: float | None = None
        self._reason = ""

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            try:
                await self._ask()
            except (SinkUnavailable, SinkMisconfigured) as error:
                self._reason = str(error)
                if self._away_since is None:
                    self._away_since = self._clock.monotonic()
            else:
                self._away_since = None
            await asyncio.sleep(self._ask_seconds)

    def check(self) -> Check:
        """What the last answer was."""
        if self._away_since is None:
            return Check("redis", True, "answers")
        away = self._clock.monotonic() - self._away_since
        return Check("redis", False, f"away for {away:.0f} s, pages wait: {self._reason}")
