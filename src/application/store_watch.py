"""Which shards of the store answer, for operators: asked all the time, also while no page needs them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from .health import Check
from .ports import Clock

ASK_SECONDS: Final = 2.0
"""Between two questions."""


class Unreachable(NamedTuple):
    """Shards that cannot be read now, for one reason."""

    shards: Sequence[int]
    reason: str
    """In words, for operators."""


class StoreWatch:
    """For one event loop; `run` asks. `ask` answers within a limit of its own, and raises nothing."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[Sequence[Unreachable]]],
        clock: Clock,
        shards: int,
        *,
        ask_seconds: float = ASK_SECONDS,
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._shards = shards
        self._ask_seconds = ask_seconds
        self._unreachable: Sequence[Unreachable] = ()
        self._since: dict[int, float] = {}
        """By shard, monotonic; those that are away."""

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            self._unreachable = await self._ask()
            now, before = self._clock.monotonic(), self._since
            self._since = {
                shard: before.get(shard, now) for found in self._unreachable for shard in found.shards
            }
            await asyncio.sleep(self._ask_seconds)

    def check(self) -> Check:
        """What the last answer was."""
        if not self._unreachable:
            return Check("redis", True, "answers")
        return Check("redis", False, "; ".join(self._told(found) for found in self._unreachable))

    def _told(self, found: Unreachable) -> str:
        away = self._clock.monotonic() - min(self._since[shard] for shard in found.shards)
        if len(found.shards) == self._shards:
            return f"away for {away:.0f} s, pages wait: {found.reason}"
        which = f"{_listed(found.shards)} of {self._shards}"
        return f"shards {which} away for {away:.0f} s, their pages wait: {found.reason}"


def _listed(shards: Sequence[int]) -> str:
    """Such as `0, 3, 5-8`."""
    runs: list[list[int]] = []
    for shard in sorted(shards):
        if runs and shard == runs[-1][-1] + 1:
            runs[-1].append(shard)
        else:
            runs.append([shard])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
