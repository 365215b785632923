"""One connection that a stream is served on, as the ASGI server shows it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.types import Receive, Scope

from .gateway_protocol import ABORT


@contextlib.asynccontextmanager
async def until_gone(scope: Scope, receive: Receive) -> AsyncIterator[Callable[[], None]]:
    """Run what is inside until the client goes away; then it is cancelled, and nothing raised.

    Gives a way to drop the connection at once, whatever waits to be sent. ASGI says nothing of a client's
    departure but to who asks: `send` to a client that is gone just returns.
    """
    try:
        async with asyncio.timeout(None) as presence:
            watching = asyncio.create_task(_watch(receive, presence))
            try:
                yield _dropping(scope, presence)
            finally:
                watching.cancel()
    except TimeoutError:
        if not presence.expired():
            raise


async def _watch(receive: Receive, presence: asyncio.Timeout) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    _end(presence)


def _dropping(scope: Scope, presence: asyncio.Timeout) -> Callable[[], None]:
    extension: dict[str, Any] = scope.get("extensions", {}).get(ABORT, {})
    abort: Callable[[], None] | None = extension.get("abort")

    def drop() -> None:
        if abort is not None:
            abort()
        _end(presence)

    return drop


def _end(presence: asyncio.Timeout) -> None:
    with contextlib.suppress(RuntimeError):  # it is over already
        presence.reschedule(asyncio.get_running_loop().time())
