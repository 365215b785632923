"""A connection that its request has handed over: prepared bytes go straight to the transport.

No task, no queue, no request and no parser is kept for it: what an idle stream costs is this object and the
transport.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from ...application.gateway_ports import GatewayTelemetry, Page
from ...application.mailbox import MAX_BYTES, MAX_EVENTS
from ...application.ports import Clock
from .request_limits import MAX_HEAD_BYTES

HANDOVER: Final = "eventbridge.handover"
"""ASGI extension: its `take` (a `Take`) ends the request and leaves the connection to the application."""

Take = Callable[[Sequence[tuple[bytes, bytes]], "HandedOver"], bool]
"""Sends the head of a 200 with these headers and hands the connection over, for good. False, and nothing is
done, where that cannot be: the client is gone, or an answer has begun."""


class HandedOver(asyncio.Protocol):
    """An `Outlet` over a transport; what the kernel does not take at once waits in the transport."""

    __slots__ = (
        "_clock",
        "_closed",
        "_connections",
        "_left",
        "_received",
        "_room",
        "_telemetry",
        "_times",
        "_transport",
        "page",
        "sending_since",
    )

    def __init__(self, telemetry: GatewayTelemetry, clock: Clock) -> None:
        self.page: Page | None = None
        """Is told when something waits for the client, and when the connection is over."""
        self.sending_since: float | None = None
        """Since when the client takes nothing (`Clock.monotonic`); None while nothing waits."""
        self._telemetry = telemetry
        self._clock = clock
        self._connections: set[Any] | None = None
        self._transport: asyncio.Transport | None = None
        self._times: list[int | None] | None = None
        self._left = 0
        """Bytes that waited after the last write."""
        self._received = 0
        self._room: asyncio.Future[None] | None = None
        self._closed = False

    def begin(self, transport: asyncio.Transport, connections: set[Any], head: bytes) -> None:
        """Take a connection over from its server, which closes those among `connections` when it stops."""
        self._transport = transport
        self._connections = connections
        connections.add(self)
        transport.set_write_buffer_limits(high=0)
        transport.set_protocol(self)
        transport.write(head)

    def write(self, chunk: bytes, timestamps: Sequence[int | None] = ()) -> bool:
        """As in `Outlet`."""
        transport = self._transport
        if self._closed or transport is None:
            return True
        if self.sending_since is not None:
            return self._line_up(transport, chunk, timestamps)
        transport.write(chunk)
        if timestamps:
            # Where the kernel did not take it all, the transport has paused us meanwhile.
            if self.sending_since is None:
                self._telemetry.delivered(timestamps, self._clock.now_ms())
            else:
                self._times = list(timestamps)
        return True

    async def drained(self) -> None:
        """As in `Outlet`: nothing waits."""
        while self.sending_since is not None and not self._closed:
            self._room = asyncio.get_running_loop().create_future()
            await self._room

    def close(self, *, flush: bool) -> None:
        """As in `Outlet`."""
        self._closed = True
        if self._transport is not None:
            if flush:
                self._transport.close()
            else:
                self._transport.abort()
        self._wake()

    def drop(self) -> None:
        """End the connection at once, whatever waits to be sent."""
        self.close(flush=False)

    def shutdown(self) -> None:
        """The server stops."""
        self.close(flush=True)

    def pause_writing(self) -> None:
        """The kernel takes no more."""
        self.sending_since = self._clock.monotonic()
        self._left = 0 if self._transport is None else self._transport.get_write_buffer_size()
        if self.page is not None:
            self.page.sending()

    def resume_writing(self) -> None:
        """The kernel has taken everything."""
        self.sending_since = None
        times, self._times = self._times, None
        if times:
            self._telemetry.delivered(times, self._clock.now_ms())
        self._wake()

    def data_received(self, data: bytes) -> None:
        """Nothing is expected of the client: more requests are not answered, and not taken without end."""
        self._received += len(data)
        if self._received > MAX_HEAD_BYTES:
            self.drop()

    def eof_received(self) -> None:
        """The client leaves; what waits to be sent does not keep it."""
        self.drop()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over, for whatever reason."""
        del exc
        self._closed = True
        self._transport = None
        self._times = None
        if self._connections is not None:
            self._connections.discard(self)
        self._wake()
        if self.page is not None:
            self.page.gone()

    def _line_up(self, transport: asyncio.Transport, chunk: bytes, timestamps: Sequence[int | None]) -> bool:
        times = self._times = self._times or []
        waiting = transport.get_write_buffer_size()
        if len(times) >= MAX_EVENTS or waiting >= MAX_BYTES:
            return False
        if waiting < self._left:
            self.sending_since = self._clock.monotonic()
        transport.write(chunk)
        times += timestamps
        self._left = transport.get_write_buffer_size()
        return True

    def _wake(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
