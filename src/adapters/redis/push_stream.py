"""A connection on which the server speaks unasked (RESP3 pushes)."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import hiredis
from redis.asyncio import Connection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, ResponseError

from .link import Command, pack

_INCOMPLETE: Final = object()

Frame = object
"""A push (`hiredis.PushNotification`), a reply, or a refusal (`ResponseError`)."""


class PushStream(asyncio.Protocol):
    """Takes a connected connection of redis-py over: what comes on it is told here the moment it is read.

    redis-py's own way hands out one push per call and writes each out for a debug line first: 11 to 16 µs
    a message, and the more the longer it is; and a stream of bytes with a task that reads it turns the
    event loop twice for each. Its transport is the only inner part that is used.
    """

    def __init__(
        self, connection: Connection, heard: Callable[[Frame], None], over: Callable[[], None]
    ) -> None:
        """`heard` is told each frame in order; `over` once, when nothing more can come (`failure`)."""
        self.failure: BaseException | None = None
        """Why nothing more can come: an OSError, one of redis-py's errors, or what `heard` raised."""
        self.spoken = True
        """Whether a byte came since this was last set to False."""
        self._heard = heard
        self._over = over
        self._connection = connection
        self._frames = hiredis.Reader(
            protocolError=InvalidResponse, replyError=ResponseError, notEnoughData=_INCOMPLETE
        )
        writer: Any = connection._writer
        self._transport: asyncio.Transport = writer.transport
        self._transport.set_protocol(self)
        if self._transport.is_closing():
            self.connection_lost(None)

    def send(self, *commands: Command) -> None:
        """Send commands; replies and confirmations come among the frames."""
        self._transport.write(b"".join([pack(each) for each in commands]))

    async def close(self) -> None:
        """Close it at once, whoever is still there."""
        self._transport.abort()
        await self._connection.disconnect(nowait=True)

    def data_received(self, data: bytes) -> None:
        """Tell every frame that is whole."""
        self.spoken = True
        frames = self._frames
        frames.feed(data)
        try:
            while (frame := frames.gets()) is not _INCOMPLETE:
                self._heard(frame)
        except Exception as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more comes."""
        self._fail(exc or RedisConnectionError("the server closed the connection"))

    def _fail(self, error: BaseException) -> None:
        if self.failure is None:
            self.failure = error
            self._transport.abort()
            self._over()
