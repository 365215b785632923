"""One connection that is subscribed to channels, from dialling to its end."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from hiredis import PushNotification
from redis.exceptions import ResponseError

from ...application.errors import SinkUnavailable
from .errors import FOREIGN, classify
from .link import Command, Link
from .push_stream import PushStream
from .script import SHARDED_CHANNELS_SINCE
from .server import read_version

_TICK_SECONDS: Final = 1.0
"""Between looks at whether anything was heard; where nothing was, the server is asked by PING."""

_SILENT_TICKS: Final = 3
"""After so many without a byte the connection counts as dead. Ticks, not time: a process that was stopped
for a while must not take its own silence for the server's."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who is told what comes."""

    confirmed: Callable[[str], None]
    """The server confirmed the subscription to a channel."""
    message: Callable[[str, bytes], None]
    """A message came on a channel."""
    moved: Callable[[str], None]
    """The server serves the channel no more: its slot is elsewhere."""


class Listener:
    """Listens at one server, to channels that come and go."""

    def __init__(self, link: Link, home: str, receiver: Receiver, *, sharded: bool) -> None:
        self._link = link
        self._home = home
        self._receiver = receiver
        self._message = receiver.message
        self._sharded = sharded
        self._prefix = ""
        self._wanted: dict[str, None] = {}
        self._asked: set[str] = set()
        self._leaving: Counter[str] = Counter()
        self._nudge = asyncio.Event()
        self.confirmed: set[str] = set()
        """Channels that are subscribed to now."""

    def add(self, channel: str) -> None:
        """Subscribe to a channel soon."""
        self._wanted[channel] = None
        self._nudge.set()

    def drop(self, channel: str) -> None:
        """Unsubscribe from it soon."""
        self._wanted.pop(channel, None)
        self._nudge.set()

    async def run(self) -> None:
        """Connect, and listen until it is cancelled. Raises `SinkUnavailable` and `SinkMisconfigured`."""
        if self._sharded and self._wanted:
            # As the script, which publishes by PUBLISH where there is no SPUBLISH.
            version = await read_version(self._link, next(iter(self._wanted)))
            self._prefix = "S" if version >= SHARDED_CHANNELS_SINCE else ""
        stream = PushStream(await self._link.dial(self._home), self._take, self._nudge.set)
        try:
            await self._keep(stream)
        except FOREIGN as error:
            raise classify(error) from error
        finally:
            await stream.close()

    async def _keep(self, stream: PushStream) -> None:
        clock = asyncio.get_running_loop().time
        tick, silent = clock() + _TICK_SECONDS, 0
        while True:
            self._nudge.clear()
            if stream.failure is not None:
                raise stream.failure
            if commands := self._changes():
                stream.send(*commands)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(tick):
                    await self._nudge.wait()
            if clock() >= tick:
                silent = 0 if stream.spoken else silent + 1
                if silent == _SILENT_TICKS:
                    raise SinkUnavailable("timeout", "nothing is heard on the subscription")
                stream.spoken = False
                stream.send(("PING",))
                tick = clock() + _TICK_SECONDS

    def _changes(self) -> list[Command]:
        """What to send so that the server's channels are the wanted ones.

        One channel a command: in a Cluster each lies in a slot of its own.
        """
        wanted = self._wanted.keys()
        left = self._asked - wanted
        commands: list[Command] = [(f"{self._prefix}UNSUBSCRIBE", channel) for channel in left]
        commands += [
            (f"{self._prefix}SUBSCRIBE", channel) for channel in wanted if channel not in self._asked
        ]
        self._leaving.update(left)
        self._asked = set(wanted)
        return commands

    def _take(self, frame: Any) -> None:  # noqa: ANN401 - a push is a list whose parts depend on the first
        if isinstance(frame, PushNotification):
            kind = frame[0]
            if kind == b"message" or kind == b"smessage":  # noqa: PLR1714 - a set would be the half of it
                self._message(frame[1].decode(), frame[2])
            else:
                self._answered(kind, frame[1])
        elif isinstance(frame, ResponseError):
            raise frame

    def _answered(self, kind: bytes, channel: bytes | None) -> None:
        if kind in {b"subscribe", b"ssubscribe"} and channel is not None:
            self.confirmed.add(channel.decode())
            self._receiver.confirmed(channel.decode())
        elif kind in {b"unsubscribe", b"sunsubscribe"} and channel is not None:
            self._left(channel.decode())

    def _left(self, channel: str) -> None:
        self.confirmed.discard(channel)
        if self._leaving[channel]:
            self._leaving[channel] -= 1
            return
        self._wanted.pop(channel, None)
        self._asked.discard(channel)
        self._receiver.moved(channel)
