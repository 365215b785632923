"""Does the event loop turn? Measured by a timer that comes late when something holds the loop."""

import asyncio
from collections import deque
from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.registry import Collector

from ...application.health import Check
from ..telemetry.series import Histogram

LAG_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Bounds of the lag; heartbeats to Kafka run on the same loop and are due every 3 s."""


class LoopWatch(Collector):
    """Looks every `period_seconds` how late the loop is, and remembers the worst of `memory_seconds`.

    A loop that stands still answers no probe; this tells afterwards that it did, and how long.
    """

    def __init__(
        self, period_seconds: float = 0.25, limit_seconds: float = 5, memory_seconds: float = 15
    ) -> None:
        self._period_seconds = period_seconds
        self._limit_seconds = limit_seconds
        self._memory_seconds = memory_seconds
        self._worst: deque[tuple[float, float]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._lag = Histogram(
            "eventbridge_loop_lag_seconds", "How late the event loop runs timers.", LAG_SECONDS
        )

    def start(self) -> None:
        """Begin, on the running loop."""
        if self._timer is None:
            self._schedule(asyncio.get_running_loop())

    def stop(self) -> None:
        """End; what was measured stays."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def observe(self, lag_seconds: float, now: float) -> None:
        """Take one measurement, made at `now` (seconds that never jump)."""
        self._lag.observe(lag_seconds)
        worst = self._worst
        # Falling lags, oldest first: the first one is always the worst.
        while worst and worst[-1][1] <= lag_seconds:
            worst.pop()
        worst.append((now, lag_seconds))
        while worst[0][0] < now - self._memory_seconds:
            worst.popleft()

    def check(self) -> Check:
        """Whether the loop was never held longer than the limit, lately."""
        worst = self._worst[0][1] if self._worst else 0.0
        detail = f"at most {worst:.3f} s late in the last {self._memory_seconds:g} s"
        return Check("event loop", worst <= self._limit_seconds, detail)

    def collect(self) -> Iterator[Metric]:
        """The histogram, for a registry."""
        yield self._lag.family()

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + self._period_seconds
        self._timer = loop.call_at(due, self._turn, loop, due)

    def _turn(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = loop.time()
        self.observe(max(0.0, now - due), now)
        self._schedule(loop)
