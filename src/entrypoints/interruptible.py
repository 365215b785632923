"""Commands that run until somebody stops them: SIGINT and SIGTERM are an orderly end, exit code 0."""

import asyncio
import logging
import signal
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


def run_interruptible(work: Coroutine[None, None, T]) -> T | None:
    """Run to the end, or until a signal cancels it; None if it was cancelled. A second signal kills.

    What the client libraries log is not shown: these commands say in sentences of their own what matters.
    """
    logging.getLogger().addHandler(logging.NullHandler())
    return asyncio.run(_guarded(work))


async def _guarded(work: Coroutine[None, None, T]) -> T | None:
    loop = asyncio.get_running_loop()
    working = asyncio.ensure_future(work)
    interrupted = asyncio.Event()

    def interrupt() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        interrupted.set()
        working.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        return await working
    except asyncio.CancelledError:
        if interrupted.is_set():
            return None
        raise
