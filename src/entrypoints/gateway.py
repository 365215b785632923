"""The gateway with a listener of its own: started, drained and stopped by whoever owns the process."""

import logging

from .gateway_container import GatewayContainer
from .gateway_work import FLUSH_SECONDS, GatewayWork

_RESERVE_SECONDS = 8.0
"""After the drain, for closing what is left, before the process is ended whatever it is doing."""

log = logging.getLogger(__name__)


class Gateway:
    """Serves a container's gateway; owns no signals and no probes."""

    def __init__(self, container: GatewayContainer) -> None:
        self._container = container
        self._settings = container.settings().gateway
        self._work = GatewayWork(container)
        self.failure = self._work.failure
        self.drain = self._work.drain

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
        await self._work.start()
        server = self._container.server()
        await server.start()
        log.info("streams are served", extra={"host": self._settings.host, "port": server.port})

    async def stop(self) -> None:
        """Close everything, within a few seconds. May be called in any state."""
        self._container.lifecycle().stopping()
        # Where `drain` came before, none is left. Else pages come again by themselves, and miss nothing.
        streams = self._container.open_streams()
        streams.draining = True
        streams.cut_all()
        await self._container.server().stop()
        await self._work.stop()
