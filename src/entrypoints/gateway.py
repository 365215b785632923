"""The gateway in a running event loop: started, drained and stopped by whoever owns the process."""

import asyncio
import logging

from ..application.health import Check, HealthReport
from .gateway_container import NOBODY, GatewayContainer
from .lifecycle import StartAbandoned

FLUSH_SECONDS = 3.0
"""After the last stream was told to end: for what waits to be sent."""

_RESERVE_SECONDS = 8.0
"""After the drain, for closing what is left, before the process is ended whatever it is doing."""

log = logging.getLogger(__name__)


class Gateway:
    """Runs a container's gateway; owns no signals and no probes."""

    def __init__(self, container: GatewayContainer) -> None:
        self._container = container
        self._settings = container.settings().gateway
        self._lifecycle = container.lifecycle()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port listened on; before `start` the one asked for."""
        return self._container.server().port

    @property
    def stop_seconds(self) -> float:
        """How long `drain` and `stop` take together, at most."""
        return self._settings.drain_seconds + FLUSH_SECONDS + _RESERVE_SECONDS

    async def start(self) -> None:
        """Listen. Pages that come before Redis does are served once it is there.

        Raises `AddressUnavailable`. Whatever happens, `stop` closes what was opened.
        """
        works = self._container.background()
        self._tasks = {asyncio.create_task(work()) for work in works}
        self._tasks.add(asyncio.create_task(self._wait_for_redis()))
        server = self._container.server()
        await server.start()
        log.info("streams are served", extra={"host": self._settings.host, "port": server.port})

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
        server = self._container.server()
        await server.stop()
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
        keys = self._container.tokens().ready
        return HealthReport(
            live=True, ready=keys, checks=(Check("keys", keys, "there" if keys else "not fetched yet"),)
        )
