"""Sets the process up for the bridge, and says with which exit code it ends."""

import importlib.metadata
import logging

from .adapter_settings import redis_place, secrets_of
from .container import Container
from .daemon import Daemon
from .process import run_process
from .settings import Settings
from .telemetry import configure_logging

log = logging.getLogger(__name__)


def run_bridge(settings: Settings, stop_seconds: float) -> int:
    """Run until stopped; answers the exit code."""
    configure_logging(
        settings.telemetry.log_level, settings.telemetry.log_format, secrets=secrets_of(settings)
    )
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
    return run_process(lambda: _run(settings, stop_seconds))


async def _run(settings: Settings, stop_seconds: float) -> bool:
    return await Daemon(Container(settings=settings), stop_seconds=stop_seconds).run()
