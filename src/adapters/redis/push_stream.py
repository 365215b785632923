"""A connection on which the server speaks unasked (RESP3 pushes), read by all that has arrived at once."""

from collections.abc import Sequence
from typing import Any, Final

import hiredis
from redis.asyncio import Connection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, ResponseError

from .link import Command, pack

_READ_BYTES: Final = 1 << 16
_INCOMPLETE: Final = object()

Frame = object
"""A push (`hiredis.PushNotification`), a reply, or a refusal (`ResponseError`)."""


class PushStream:
    """Takes a connected connection of redis-py over: its bytes from now on are read here.

    redis-py's own way hands out one push per call and writes each out for a debug line first: 11 to 16 µs
    a message, and the more the longer it is. Its stream of bytes is the only inner part that is used.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._bytes: Any = connection._reader
        self._frames = hiredis.Reader(
            protocolError=InvalidResponse, replyError=ResponseError, notEnoughData=_INCOMPLETE
        )

    async def send(self, *commands: Command) -> None:
        """Send commands; replies and confirmations come among the frames. Raises what redis-py raises."""
        await self._connection.send_packed_command([pack(each) for each in commands], check_health=False)

    async def read(self) -> Sequence[Frame]:
        """Wait for bytes; answers every whole frame, in order. Raises OSError and redis-py's errors."""
        chunk = await self._bytes.read(_READ_BYTES)
        if not chunk:
            raise RedisConnectionError("the server closed the connection")
        self._frames.feed(chunk)
        frames: list[Frame] = []
        while (frame := self._frames.gets()) is not _INCOMPLETE:
            frames.append(frame)
        return frames

    async def close(self) -> None:
        """Close it at once; a reader fails."""
        await self._connection.disconnect(nowait=True)
