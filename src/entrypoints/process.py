"""Sets a process up for one of the programs that run until they are stopped, and says how it ends."""

import asyncio
import gc
import logging
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from ..adapters.http.embedded_server import AddressUnavailable
from ..adapters.http.health_server import HealthServer
from ..application.errors import SinkMisconfigured, SourceMisconfigured
from .adapter_settings import secrets_of
from .cli import FAILED, STOPPED_AS_ASKED, WRONG_USAGE
from .settings import Settings
from .stop_signals import StopSignals
from .telemetry import collector_secrets, configure_logging

GC_THRESHOLD = 20_000
"""Objects made and not yet freed, after which the young ones are looked through; a few polls' worth."""

log = logging.getLogger(__name__)


def log_as_set(settings: Settings) -> None:
    """Write the process's log lines as the settings say, with none of its secrets."""
    configure_logging(
        settings.telemetry.log_level,
        settings.telemetry.log_format,
        secrets=[*secrets_of(settings), *collector_secrets(os.environ)],
    )


def run_process(main: Callable[[], Coroutine[Any, Any, bool]]) -> int:
    """Run until stopped; answers the exit code. `main` answers whether all was finished in time."""
    _tune_garbage_collection()
    try:
        with asyncio.Runner(loop_factory=_fastest_loop()) as runner:
            finished = runner.run(main())
    except (SinkMisconfigured, SourceMisconfigured) as error:
        log.critical("the settings do not fit: %s", error)
        return WRONG_USAGE
    except AddressUnavailable as error:
        log.critical("%s; gateway.host and port or telemetry.metrics_host and metrics_port say where", error)
        return FAILED
    except Exception:
        log.critical("ended by an error that nothing was prepared for", exc_info=True)
        return FAILED
    return STOPPED_AS_ASKED if finished else FAILED


@asynccontextmanager
async def until_signalled(stop_limit_seconds: float, probes: HealthServer) -> AsyncIterator[StopSignals]:
    """The process's signals, which are to be waited for; probes are answered first and last.

    Raises `AddressUnavailable`.
    """
    with StopSignals(stop_limit_seconds) as signals:
        async with probes:
            log.info("health and metrics are served", extra={"port": probes.port})
            yield signals
        signals.disarm()


async def first_to_end(*works: Coroutine[Any, Any, object]) -> None:
    """Return when one of them does, and cancel the rest; raises what it raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in done:
        task.result()


def _tune_garbage_collection() -> None:
    """Leave what was imported out of every collection, and collect per batch rather than per 700 records.

    Records, entries and streams hold no cycles: reference counts free them, a collection finds next to
    nothing.
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
