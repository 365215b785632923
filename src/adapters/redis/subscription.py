"""Subscriptions that stay: to channels of interest, over one connection to each server that has some.

The server is told at once what is of interest and what no more. A connection that breaks, or on which
nothing is heard for some seconds although the server is asked, is replaced, and every confirmation is
handed on: a second one of the same channel is the only sign that messages may have been missed.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Final, Generic, TypeVar

from ...application.gateway_ports import Hear
from ...domain.errors import EventBridgeError
from .link import Link
from .listener import Listener, Receiver

log = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
"""Seconds between attempts to connect, before jitter takes up to half of it away."""

QUIET_SECONDS: Final = 10.0
"""After the log was told of a cut: a connection that breaks again and again must not fill it."""

N = TypeVar("N")


class Subscription(Generic[N]):
    """Channels of interest and what comes on them, turned into news of the caller's own kind.

    Each function answers the news that its event is worth: `confirmed` a subscription that holds from now
    on, `interrupted` one that held and was cut, `published` a message.
    `sharded`: where the server knows SSUBSCRIBE, by it; then only the node that has the channel's slot
    serves it.
    """

    def __init__(
        self,
        link: Link,
        *,
        confirmed: Callable[[str], Sequence[N]],
        published: Callable[[str, bytes], Sequence[N]],
        interrupted: Callable[[str], Sequence[N]] | None = None,
        sharded: bool = False,
    ) -> None:
        self._link = link
        self._confirmed = confirmed
        self._interrupted = interrupted
        self._published = published
        self._sharded = sharded
        self._interest: Counter[str] = Counter()
        self._listeners: dict[str, Listener] = {}
        self._listener_of: dict[str, Listener] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._hear: Hear[N] = _to_nobody
        self._failures = 0
        self._told = False
        """Whether the log says that it is cut."""
        self._told_at = float("-inf")

    def watch(self, channel: str) -> None:
        """Be interested in a channel; counted."""
        self._interest[channel] += 1
        if self._interest[channel] == 1:
            self._changed.set()

    def unwatch(self, channel: str) -> None:
        """Be interested once less."""
        if self._interest[channel] > 1:
            self._interest[channel] -= 1
            return
        del self._interest[channel]
        if listener := self._listener_of.pop(channel, None):
            listener.drop(channel)

    async def follow(self, hear: Hear[N]) -> None:
        """Tell what comes, in batches, until cancelled; raises nothing but that.

        Connected meanwhile, for one at a time.
        """
        if self._tasks:
            raise RuntimeError("a subscription is followed by one at a time")
        self._hear = hear
        self._changed.set()
        keeping = self._begin(self._keep())
        try:
            await asyncio.wait({keeping})
        finally:
            await self.close()

    async def close(self) -> None:
        """Close every connection."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _keep(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            failure = None
            for channel in [each for each in self._interest if each not in self._listener_of]:
                try:
                    home = await self._link.home(channel)
                except Exception as error:
                    failure = error
                else:
                    self._listen(home, channel)
            if failure:
                await self._recover(failure)
                self._changed.set()

    def _listen(self, home: str, channel: str) -> None:
        if channel not in self._interest:
            return
        listener = self._listeners.get(home)
        if listener is None:
            receiver = Receiver(self._on_confirmed, self._on_message, self._on_moved)
            listener = Listener(self._link, home, receiver, sharded=self._sharded)
            self._listeners[home] = listener
            self._begin(self._run(home, listener))
        self._listener_of[channel] = listener
        listener.add(channel)

    async def _run(self, home: str, listener: Listener) -> None:
        try:
            await listener.run()
        except Exception as error:
            # Whatever a client library comes up with must not leave pages deaf.
            self._link.doubt()
            for channel in listener.confirmed & self._interest.keys():
                self._tell_interrupted(channel)
            await self._recover(error)
        finally:
            del self._listeners[home]
            for channel in [each for each, by in self._listener_of.items() if by is listener]:
                del self._listener_of[channel]
            self._changed.set()

    async def _recover(self, error: Exception) -> None:
        now = asyncio.get_running_loop().time()
        if not self._told and now >= self._told_at + QUIET_SECONDS:
            self._told, self._told_at = True, now
            unforeseen = None if isinstance(error, EventBridgeError) else error
            log.warning("the subscription in Redis is cut and tried again: %s", error, exc_info=unforeseen)
        self._failures += 1
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(self._failures - 1, 10))
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads attempts

    def _on_confirmed(self, channel: str) -> None:
        self._failures = 0
        if self._told:
            self._told = False
            log.info("the subscription in Redis holds again")
        if channel in self._interest:
            self._hear(self._confirmed(channel))

    def _on_message(self, channel: str, message: bytes) -> None:
        if channel in self._interest:
            self._hear(self._published(channel, message))

    def _on_moved(self, channel: str) -> None:
        if self._listener_of.pop(channel, None):
            self._link.doubt()
            self._tell_interrupted(channel)
            self._changed.set()

    def _tell_interrupted(self, channel: str) -> None:
        if self._interrupted is not None:
            self._hear(self._interrupted(channel))


def _to_nobody(_: Sequence[object]) -> None:
    """Nobody follows yet."""
