"""The way out of one connection for whoever sends by himself, an ASGI application above all."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from .gateway_ports import GatewayTelemetry, Page
from .ports import Clock

MAX_EVENTS = 512
"""Events that wait or are being sent."""

MAX_BYTES = 524_288
"""Bytes that wait or are being sent, before what is written last."""


class Mailbox:
    """An `Outlet` whose frames are fetched: `async for chunk in mailbox.frames(): await send(chunk)`.

    Whoever iterates is taken to have sent a chunk when the next one is asked for; then the events in it
    are told to the telemetry as delivered. At the end he is taken to send the answer's own.
    """

    __slots__ = (
        "_bytes",
        "_chunks",
        "_clock",
        "_closed",
        "_max_bytes",
        "_max_events",
        "_news",
        "_room",
        "_sending",
        "_telemetry",
        "_times",
        "page",
        "sending_since",
    )

    def __init__(
        self,
        telemetry: GatewayTelemetry,
        clock: Clock,
        *,
        max_events: int = MAX_EVENTS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._telemetry = telemetry
        self._clock = clock
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._chunks: list[bytes] = []
        self._times: list[int | None] = []
        self._bytes = 0
        self._sending: tuple[int, int] = (0, 0)
        """Events and bytes of the chunk that was fetched last."""
        self.page: Page | None = None
        """Is told when a chunk is being sent."""
        self.sending_since: float | None = None
        """Since when whoever iterates is sending (`Clock.monotonic`); None while he waits for more."""
        self._closed = False
        self._news: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None

    def write(self, chunk: bytes, timestamps: Sequence[int | None] = ()) -> bool:
        """As in `Outlet`."""
        if self._closed:
            return True
        events, size = self._sending
        if len(self._times) + events >= self._max_events or self._bytes + size >= self._max_bytes:
            return False
        self._chunks.append(chunk)
        self._bytes += len(chunk)
        self._times += timestamps
        _wake(self._news)
        return True

    async def drained(self) -> None:
        """As in `Outlet`: nothing waits but what is being sent."""
        while self._chunks and not self._closed:
            self._room = asyncio.get_running_loop().create_future()
            await self._room

    def close(self, *, flush: bool) -> None:
        """As in `Outlet`."""
        self._closed = True
        if not flush:
            self._chunks.clear()
            self._times.clear()
            self._bytes = 0
        _wake(self._news)
        _wake(self._room)

    async def frames(self) -> AsyncIterator[bytes]:
        """All that waits, joined, each time that something does, until the mailbox is closed. Once."""
        while True:
            while not self._chunks:
                if self._closed:
                    self._send()
                    return
                self._news = asyncio.get_running_loop().create_future()
                await self._news
            chunk, times = b"".join(self._chunks), self._times
            self._chunks, self._times, self._bytes = [], [], 0
            self._sending = len(times), len(chunk)
            _wake(self._room)
            self._send()
            yield chunk
            self.sending_since = None
            self._sending = (0, 0)
            if times:
                self._telemetry.delivered(times, self._clock.now_ms())

    def _send(self) -> None:
        self.sending_since = self._clock.monotonic()
        if self.page is not None:
            self.page.sending()


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
