"""One connection that a stream is served on, as the ASGI server shows it."""

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from starlette.types import Message, Receive, Scope, Send

from .gateway_protocol import ABORT


class ClientGone(Exception):
    """Nobody is left to be answered."""


def sending(send: Send) -> Send:
    """Return what sends, and raises `ClientGone` where the server raises OSError, as ASGI 2.4 has it.

    uvicorn and granian say nothing instead.
    """

    async def send_on(message: Message) -> None:
        try:
            await send(message)
        except OSError:
            raise ClientGone from None

    return send_on


class UntilGone:
    """As an async context manager: what is inside runs until the client goes away; then it is cancelled, and
    nothing raised.

    ASGI says nothing of a client's departure but to who asks: `send` to one that is gone just returns.
    """

    __slots__ = ("_abort", "_presence", "_receive", "_watching")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        extension: dict[str, Any] = scope.get("extensions", {}).get(ABORT, {})
        self._abort: Callable[[], None] | None = extension.get("abort")
        self._receive = receive
        self._presence = asyncio.timeout(None)
        self._watching: asyncio.Task[None] | None = None

    def drop(self) -> None:
        """End the connection at once, whatever waits to be sent."""
        if self._abort is not None:
            self._abort()
        self._end()

    async def __aenter__(self) -> Self:
        await self._presence.__aenter__()
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        # Else this, the task and its cancellation's traceback hold each other until a garbage collection.
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
        try:
            await self._presence.__aexit__(kind, error, trace)
        except TimeoutError:
            return True
        return None

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._end()

    def _end(self) -> None:
        with contextlib.suppress(RuntimeError):  # it is over already
            self._presence.reschedule(asyncio.get_running_loop().time())
