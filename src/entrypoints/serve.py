"""Sets the process up for the gateway, and runs it until a signal stops it."""

import importlib.metadata
import logging
import os

from dependency_injector import providers

from .adapter_settings import redis_place
from .descriptors import allow_connections
from .gateway import Gateway
from .gateway_container import GatewayContainer, show_demo_page
from .process import first_to_end, log_as_set, run_process, until_signalled
from .settings import Settings
from .telemetry import traced

log = logging.getLogger(__name__)


def serve_streams(settings: Settings, *, demo: bool = False) -> int:
    """Serve until stopped, with the demo's page where it is wanted; answers the exit code."""
    log_as_set(settings)
    log.info(
        "EventBridge gateway %s",
        importlib.metadata.version("eventbridge"),
        extra={"redis": redis_place(settings), "auth": settings.gateway.auth},
    )
    prepare_to_serve(settings)
    parts = GatewayContainer(settings=settings)
    if demo:
        show_demo_page(parts)
    return run_process(lambda: _serve(parts))


def prepare_to_serve(settings: Settings) -> None:
    """Say what an operator should know of the gateway, and have the system allow its connections."""
    if settings.gateway.auth == "none":
        log.warning(
            "NO AUTHENTICATION (gateway.auth is none): whoever reaches port %d on this machine reads any "
            "user's events. For development only.",
            settings.gateway.port,
        )
    allow_connections(settings.gateway.max_connections)


async def _serve(container: GatewayContainer) -> bool:
    """Raises what `Gateway.start` and `Gateway.failure` raise."""
    gateway = Gateway(container)
    async with (
        until_signalled(gateway.stop_seconds, container.health_server()) as signals,
        traced(os.environ) as traces,
    ):
        container.traces.override(providers.Object(traces))
        try:
            await gateway.start()
            await first_to_end(gateway.failure(), signals.wait())
            log.info("stopping")
            await gateway.drain()
        finally:
            await gateway.stop()
    log.info("stopped")
    return True
