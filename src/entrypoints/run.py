"""Sets the process up for the bridge, with or without the gateway, and says with which exit code it ends."""

import importlib.metadata
import logging

from .adapter_settings import redis_place
from .container import Container
from .daemon import STOP_SECONDS, Daemon
from .process import log_as_set, run_process, until_signalled
from .settings import Settings

log = logging.getLogger(__name__)


def run_bridge(settings: Settings, stop_seconds: float) -> int:
    """Run until stopped; answers the exit code."""
    _begin(settings)
    return run_process(lambda: carry(Container(settings=settings), stop_seconds=stop_seconds))


def run_bridge_and_gateway(settings: Settings, stop_seconds: float) -> int:
    """Run both until stopped; answers the exit code."""
    from .bridge_and_gateway import carry_and_serve  # noqa: PLC0415 - the bridge alone does not wait for it
    from .gateway_container import GatewayContainer  # noqa: PLC0415
    from .serve import prepare_to_serve  # noqa: PLC0415

    _begin(settings)
    prepare_to_serve(settings)
    return run_process(
        lambda: carry_and_serve(
            Container(settings=settings), GatewayContainer(settings=settings), stop_seconds=stop_seconds
        )
    )


async def carry(container: Container, *, stop_seconds: float = STOP_SECONDS) -> bool:
    """Run a container's bridge until a signal; whether it was finished in time.

    Raises `AddressUnavailable` and what `Daemon.run` raises.
    """
    async with until_signalled(stop_seconds, container.health_server()) as signals:
        return await Daemon(container, stop_seconds=stop_seconds).run(signals.wait())


def _begin(settings: Settings) -> None:
    log_as_set(settings)
    log.info(
        "EventBridge %s",
        importlib.metadata.version("eventbridge"),
        extra={
            "source": settings.source,
            "kafka": settings.kafka.bootstrap_servers,
            "topics": settings.kafka.topics,
            "group_id": settings.kafka.group_id,
            "redis": redis_place(settings),
        },
    )
