"""Sets the process up for the gateway, and runs it until a signal stops it."""

import asyncio
import importlib.metadata
import logging

from .adapter_settings import redis_place, secrets_of
from .descriptors import allow_connections
from .gateway import FLUSH_SECONDS, Gateway
from .gateway_container import GatewayContainer
from .process import run_process
from .settings import Settings
from .stop_signals import StopSignals
from .telemetry import configure_logging

_RESERVE_SECONDS = 8.0
"""After the drain, for closing what is left, before the process is ended whatever it is doing."""

log = logging.getLogger(__name__)


def serve_streams(settings: Settings) -> int:
    """Serve until stopped; answers the exit code."""
    configure_logging(
        settings.telemetry.log_level, settings.telemetry.log_format, secrets=secrets_of(settings)
    )
    log.info(
        "EventBridge gateway %s",
        importlib.metadata.version("eventbridge"),
        extra={"redis": redis_place(settings), "auth": settings.gateway.auth},
    )
    if settings.gateway.auth == "none":
        log.warning(
            "NO AUTHENTICATION (gateway.auth is none): whoever reaches port %d on this machine reads any "
            "user's events. For development only.",
            settings.gateway.port,
        )
    allow_connections(settings.gateway.max_connections)
    return run_process(lambda: _serve(settings))


async def _serve(settings: Settings) -> bool:
    """Probes are answered first and last. Raises what `Gateway.start` and `Gateway.failure` raise."""
    container = GatewayContainer(settings=settings)
    gateway = Gateway(container)
    limit = settings.gateway.drain_seconds + FLUSH_SECONDS + _RESERVE_SECONDS
    with StopSignals(limit) as signals:
        async with container.health_server() as probes:
            log.info("health and metrics are served", extra={"port": probes.port})
            try:
                await gateway.start()
                await _until_asked_to_stop(gateway, signals)
                log.info("stopping")
                await gateway.drain()
            finally:
                await gateway.stop()
        signals.disarm()
    log.info("stopped")
    return True


async def _until_asked_to_stop(gateway: Gateway, signals: StopSignals) -> None:
    failing = asyncio.create_task(gateway.failure())
    asked = asyncio.create_task(signals.wait())
    try:
        await asyncio.wait({failing, asked}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        asked.cancel()
        failing.cancel()
        await asyncio.wait({failing})
    if not failing.cancelled():
        failing.result()
