"""What runs behind the gateway's pages, whoever listens for them: started, drained and stopped."""

import asyncio
import logging

from ..application.health import Check, HealthReport
from .gateway_container import NOBODY, GatewayContainer
from .lifecycle import StartAbandoned

FLUSH_SECONDS = 3.0
"""After the last stream was told to end: for what waits to be sent."""

log = logging.getLogger(__name__)


class GatewayWork:
    """Runs a container's gateway without a listener; owns no signals and no probes."""

    def __init__(self, container: GatewayContainer) -> None:
        self._container = container
        self._settings = container.settings().gateway
        self._lifecycle = container.lifecycle()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin. Pages that come before Redis does are served once it is there.

        Whatever happens, `stop` closes what was opened.
        """
        works = self._container.background()
        self._tasks = {asyncio.create_task(work()) for work in works}
        self._tasks.add(asyncio.create_task(self._wait_for_redis()))

    async def failure(self) -> None:
        """Wait until the gateway cannot go on, and raise why: `SinkMisconfigured` for what no waiting
        mends, or a defect."""
        waiting = set(self._tasks)
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        await asyncio.Event().wait()

    async def drain(self) -> None:
        """End all streams over the time that the settings give; new ones are sent away meanwhile."""
        self._lifecycle.stopping()
        streams = self._container.open_streams()
        streams.draining = True
        await self._container.comeback().close()
        count = len(streams)
        await streams.drain(self._settings.drain_seconds)
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await streams.gone()
        except TimeoutError:
            if len(streams):
                log.warning("%d clients took nothing any more and were cut", len(streams))
            streams.cut_all()
        log.info("all streams were ended", extra={"count": count})

    async def stop(self) -> None:
        """Close everything, within a few seconds. May be called in any state."""
        self._lifecycle.stopping()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for close in self._container.closing():
            await close()

    async def _wait_for_redis(self) -> None:
        feed = self._container.feed()
        place = self._container.redis_place()
        try:
            await self._lifecycle.wait_for(f"Redis at {place}", lambda: feed.read_last(NOBODY, 1))
        except StartAbandoned:
            log.info("stopped before everything was there")
            return
        self._lifecycle.running(self._health)

    def _health(self) -> HealthReport:
        """Once it has answered, Redis does not decide whether pages are sent here.

        While it is away pages are connected and wait. Were all gateways taken out of a load balancer at once,
        these pages would get its 503 instead, at which an `EventSource` gives up for good.
        """
        keys = self._container.tokens().ready
        return HealthReport(
            live=True,
            ready=keys,
            checks=(
                Check("keys", keys, "there" if keys else "not fetched yet"),
                self._container.store_watch().check(),
            ),
        )
