"""Bridge and gateway in one process and event loop, for small set-ups."""

import asyncio
import logging
import os

from dependency_injector import providers

from ..adapters.http.health_server import HealthServer
from ..adapters.telemetry.gateway_metrics import GatewayMetrics
from ..application.health import HealthReport
from .container import Container
from .daemon import STOP_SECONDS, Daemon
from .gateway import Gateway
from .gateway_container import GatewayContainer
from .process import first_to_end, until_signalled
from .telemetry import traced

log = logging.getLogger(__name__)


async def carry_and_serve(
    bridge_parts: Container, gateway_parts: GatewayContainer, *, stop_seconds: float = STOP_SECONDS
) -> bool:
    """Run both until a signal, or until one of them cannot go on; whether all was finished in time.

    Pages are drained before the bridge stops, so that what happens meanwhile still reaches them. Raises
    `AddressUnavailable` and what ends either of them.
    """
    gateway_parts.telemetry.override(
        providers.Singleton(GatewayMetrics, bridge_parts.telemetry.provided.registry)
    )
    bridge = Daemon(bridge_parts, stop_seconds=stop_seconds)
    gateway = Gateway(gateway_parts)
    async with (
        until_signalled(gateway.stop_seconds + stop_seconds, _probes(bridge_parts, gateway_parts)) as signals,
        traced(os.environ) as traces,
    ):
        for parts in (bridge_parts, gateway_parts):
            parts.traces.override(providers.Object(traces))
        pages_gone = asyncio.Event()
        carrying = asyncio.create_task(bridge.run(pages_gone.wait()))
        try:
            await gateway.start()
            await first_to_end(gateway.failure(), asyncio.wait({carrying}), signals.wait())
            if not carrying.done():
                log.info("ending the streams, then the bridge")
                await gateway.drain()
        finally:
            await gateway.stop()
            pages_gone.set()
            finished = await carrying
    return finished


def _probes(bridge_parts: Container, gateway_parts: GatewayContainer) -> HealthServer:
    telemetry = bridge_parts.settings().telemetry

    def health() -> HealthReport:
        return HealthReport.of_all(
            bridge=bridge_parts.lifecycle().health(), gateway=gateway_parts.lifecycle().health()
        )

    return HealthServer(
        telemetry.metrics_host, telemetry.metrics_port, health, bridge_parts.telemetry().registry
    )
