"""The bridge in a running event loop: start, carry events, stop."""

import asyncio
import logging
from collections.abc import Coroutine

from ..application.errors import SourceMisconfigured, SourceUnavailable
from ..application.event_bridge import DomainEventBridgeService
from .container import Container
from .lifecycle import StartAbandoned

STOP_SECONDS = 20.0
"""From the request to stop to the end of the process; what is not finished then is repeated by the next
start, and filtered."""

_RESERVE_SECONDS = 3.0
"""Of these, for closing what the bridge leaves behind."""

REJOIN_SECONDS = 5.0
"""Until joining the group is tried again."""

log = logging.getLogger(__name__)


class Daemon:
    """Runs a container's bridge; owns no signals and no probes."""

    def __init__(self, container: Container, *, stop_seconds: float = STOP_SECONDS) -> None:
        self._container = container
        self._stop_seconds = stop_seconds
        self._lifecycle = container.lifecycle()
        self._bridge: DomainEventBridgeService | None = None
        self._stopping = asyncio.Event()

    async def run(self, asked_to_stop: Coroutine[None, None, object]) -> bool:
        """Carry until `asked_to_stop` returns; whether everything was finished within the limit then.

        Raises `SinkMisconfigured` or `SourceMisconfigured` for what no waiting mends, and whatever ends the
        bridge by itself.
        """
        carrying = asyncio.create_task(self._carry())
        asked = asyncio.create_task(asked_to_stop)
        await asyncio.wait({carrying, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            asked.cancel()
            carrying.result()
            return True
        log.info("stopping")
        self._lifecycle.stopping()
        self._stopping.set()
        if self._bridge is not None:
            self._bridge.stop()
        return await self._ended(carrying)

    async def _ended(self, carrying: asyncio.Task[None]) -> bool:
        await asyncio.wait({carrying}, timeout=self._stop_seconds - _RESERVE_SECONDS)
        finished = carrying.done()
        if not finished:
            log.error("not finished in time: what was in flight is repeated by the next start, and filtered")
            carrying.cancel()
            await asyncio.wait({carrying}, timeout=_RESERVE_SECONDS / 2)
        if carrying.done() and not carrying.cancelled():
            carrying.result()
        log.info("stopped")
        return finished

    async def _carry(self) -> None:
        showing = asyncio.create_task(self._show_circuit_forever())
        try:
            bridge = await self._container.bridge.async_()
            self._bridge = bridge
            self._lifecycle.running(bridge.health)
            await self._keep_running(bridge)
        except StartAbandoned:
            log.info("stopped before everything was there")
        finally:
            showing.cancel()
            self._lifecycle.stopping()
            await self._close()

    async def _close(self) -> None:
        """Close every resource; one that was still waiting for its server says so, and the rest goes on."""
        while (closing := self._container.shutdown_resources()) is not None:
            try:
                await closing
            except StartAbandoned:
                continue
            return

    async def _keep_running(self, bridge: DomainEventBridgeService) -> None:
        """Join the group as often as it takes: a topic may be made, or a right given, while we wait."""
        while not self._stopping.is_set():
            try:
                log.info("joining the group")
                await bridge.run()
            except (SourceUnavailable, SourceMisconfigured) as error:
                log.error("the group cannot be joined, trying again in %g s: %s", REJOIN_SECONDS, error)
                await self._pause(REJOIN_SECONDS)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _show_circuit_forever(self) -> None:
        """The window moves on without calls, so its share of failures is shown anew every second."""
        breaker, telemetry = self._container.breaker(), self._container.telemetry()
        while True:
            telemetry.circuit(breaker.state.value, breaker.failure_ratio)
            await asyncio.sleep(1)
