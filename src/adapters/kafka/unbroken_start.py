"""Start a client of aiokafka's without leaving half of it behind."""

import asyncio
from collections.abc import Coroutine
from typing import Any

GRACE_SECONDS = 2.0
"""What a start that is given up gets to come to its end."""


async def started(starting: Coroutine[Any, Any, None]) -> None:
    """Wait for a client's `start()`, and see that it ended even if this wait is cancelled.

    Interrupted while it connects, aiokafka 0.14 leaves a connection with its reading task behind, which
    its `stop()` does not know; a start that came to its end is closed by that.
    """
    task = asyncio.create_task(starting)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=GRACE_SECONDS)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise
