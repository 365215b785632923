"""Sets the process up for the bridge, and says with which exit code it ends."""

import asyncio
import gc
import importlib.metadata
import logging
from collections.abc import Callable

from ..adapters.http.embedded_server import AddressUnavailable
from ..application.errors import SinkMisconfigured, SourceMisconfigured
from .adapter_settings import redis_place, secrets_of
from .cli import FAILED, STOPPED_AS_ASKED, WRONG_USAGE
from .container import Container
from .daemon import Daemon
from .settings import Settings
from .telemetry import configure_logging

GC_THRESHOLD = 20_000
"""Objects made and not yet freed, after which the young ones are looked through; a few polls' worth."""

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
    _tune_garbage_collection()
    try:
        with asyncio.Runner(loop_factory=_fastest_loop()) as runner:
            finished = runner.run(_run(settings, stop_seconds))
    except (SinkMisconfigured, SourceMisconfigured) as error:
        log.critical("the settings do not fit: %s", error)
        return WRONG_USAGE
    except AddressUnavailable as error:
        log.critical("%s", error)
        return FAILED
    except Exception:
        log.critical("ended by an error that nothing was prepared for", exc_info=True)
        return FAILED
    return STOPPED_AS_ASKED if finished else FAILED


async def _run(settings: Settings, stop_seconds: float) -> bool:
    return await Daemon(Container(settings=settings), stop_seconds=stop_seconds).run()


def _tune_garbage_collection() -> None:
    """Leave what was imported out of every collection, and collect per batch rather than per 700 records.

    Records and entries hold no cycles: reference counts free them, a collection finds next to nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)


def _fastest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where it is installed (extra `speed`), else the standard library's."""
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return uvloop.new_event_loop
