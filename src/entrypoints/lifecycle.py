"""From start to stop: wait for absent servers, say so, and tell probes how the process is meanwhile."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina

from ..application.errors import (
    SinkMisconfigured,
    SinkUnavailable,
    SourceMisconfigured,
    SourceUnavailable,
)
from ..application.health import Check, HealthReport
from ..application.ports import Clock
from ..domain.errors import EventBridgeError

T = TypeVar("T")

PROGRESS_SECONDS = 5.0
"""Between two lines that say what is waited for."""

MISCONFIGURED_RETRY_SECONDS = 5.0
"""Until a server that refuses us is asked again: an operator may mend it while we wait."""

FATAL_REASONS = frozenset({"layout"})
"""Reasons of a refusal that no waiting mends: the settings contradict what is kept in Redis."""

log = logging.getLogger(__name__)


class StartAbandoned(EventBridgeError):
    """The process was asked to stop before everything that it waited for was there."""

    def __init__(self, name: str) -> None:
        super().__init__(f"not waiting for {name} any more")


class Lifecycle:
    """Where the process is between its start and its end: the one place that probes ask."""

    def __init__(self, clock: Clock, *, progress_seconds: float = PROGRESS_SECONDS) -> None:
        self._clock = clock
        self._progress_seconds = progress_seconds
        self._waiting: dict[str, _Waiting] = {}
        self._watched: list[Callable[[], Check]] = []
        self._running: Callable[[], HealthReport] | None = None
        self._stopping = asyncio.Event()
        # Its own lines would name functions; ours name servers.
        stamina.instrumentation.set_on_retry_hooks([])

    async def wait_for(self, name: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until it works; answers what it answers. `name` is a server and its address.

        Absent servers are tried again within two seconds, those that refuse us every five. Raises what no
        waiting mends, and `StartAbandoned` once the process is stopping.
        """
        waiting = self._waiting[name] = _Waiting(self._clock.monotonic())
        telling = asyncio.create_task(self._tell_forever(name, waiting))
        trying = asyncio.create_task(_try_until_done(attempt, waiting))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({trying, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not trying.done():
                raise StartAbandoned(name)
            if waiting.told and trying.exception() is None:
                log.info("%s answers after %.0f s", name, self._clock.monotonic() - waiting.since)
            return trying.result()
        finally:
            for task in (telling, trying, stopping):
                task.cancel()
            await asyncio.wait({trying})
            del self._waiting[name]

    def watch(self, check: Callable[[], Check]) -> None:
        """Have a resource's own check count, too, once everything runs."""
        self._watched.append(check)

    def running(self, health: Callable[[], HealthReport]) -> None:
        """Everything that was waited for is there; from now on `health` knows, and says which of its checks
        count."""
        self._running = health

    def stopping(self) -> None:
        """The process is about to stop: it still lives, is not ready any more, and waits for nobody."""
        self._stopping.set()

    def health(self) -> HealthReport:
        """What probes are told: not ready before everything is there, nor after the stop was asked for."""
        if self._stopping.is_set():
            return HealthReport(live=True, ready=False, checks=(Check("stop", False, "stopping"),))
        now = self._clock.monotonic()
        waits = tuple(
            Check("start", False, waiting.sentence(name, now)) for name, waiting in self._waiting.items()
        )
        if self._running is None:
            return HealthReport(live=True, ready=False, checks=waits or (Check("start", False, "starting"),))
        report = self._running()
        ours = (*(check() for check in self._watched), *waits)
        checks = (*report.checks, *ours)
        return HealthReport(
            live=report.live, ready=report.ready and all(check.ok for check in ours), checks=checks
        )

    async def _tell_forever(self, name: str, waiting: "_Waiting") -> None:
        await waiting.failure.wait()
        while True:
            waiting.told = True
            log.warning(waiting.sentence(name, self._clock.monotonic()))
            await asyncio.sleep(self._progress_seconds)


class _Waiting:
    """One server that has not answered well yet."""

    def __init__(self, since: float) -> None:
        self.since = since
        self.failure = asyncio.Event()
        self.told = False
        self._reason = ""

    def failed(self, error: Exception) -> None:
        self._reason = str(error)
        self.failure.set()

    def sentence(self, name: str, now: float) -> str:
        because = f": {self._reason}" if self._reason else ""
        return f"waiting for {name} ({now - self.since:.0f} s){because}"


async def _try_until_done(attempt: Callable[[], Awaitable[T]], waiting: _Waiting) -> T:
    async for trying in stamina.retry_context(
        on=_again, attempts=None, timeout=None, wait_initial=0.1, wait_max=2.0, wait_jitter=0.1
    ):
        with trying:
            try:
                return await attempt()
            except Exception as error:
                if _again(error):
                    waiting.failed(error)
                raise
    raise AssertionError("without a limit there is always another attempt")


def _again(error: Exception) -> bool | float:
    if isinstance(error, SinkUnavailable | SourceUnavailable):
        return True
    if isinstance(error, SinkMisconfigured | SourceMisconfigured):
        return False if error.reason in FATAL_REASONS else MISCONFIGURED_RETRY_SECONDS
    return False
