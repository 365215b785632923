"""What goes in, and what comes out: the samples' producer, and the pages that follow their streams."""

import asyncio
import json
import time
from collections.abc import Callable

from ...adapters.http.demo_page import SentEvent
from ...adapters.kafka.client_manager import KafkaClientManager
from ...adapters.redis.history import StreamEntry
from ...adapters.redis.sse_service import RedisSSEService
from ...application.errors import SinkUnavailable
from ...domain.position import Position
from ...domain.routing import user
from ...domain.white_list import WhiteList
from ..sample_events import sample_events
from .board import Board, UserPage, snippet
from .delivery_check import DeliveryCheck

MOST_ON_THE_WAY = 1500
"""Events that may wait for Redis: the mock cluster keeps 5 MiB of a partition, so that many always fit in."""

_RETRY_SECONDS = 0.2


class Player:
    """Plays sample sessions into the topic, until it is stopped."""

    def __init__(
        self, clients: KafkaClientManager, topic: str, board: Board, *, users: int, seed: int
    ) -> None:
        self._clients = clients
        self._topic = topic
        self._board = board
        self._samples = sample_events(users, seed=seed)
        self._white_list = WhiteList()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Send no more; `play` returns when the last one is stored."""
        self._stopping.set()

    async def play(self, rate: float) -> None:
        """Send `rate` events a second, one after the other."""
        producer = self._clients.producer()
        await producer.start()
        try:
            due = time.monotonic()
            while not self._stopping.is_set():
                if self._board.check.on_the_way < MOST_ON_THE_WAY:
                    event = next(self._samples)
                    if self._white_list.allows(event.event_type):
                        envelope = json.loads(event.value)
                        sent = SentEvent(envelope["event_id"], envelope["aggregate_id"])
                        self._board.check.send(sent.session_id, sent.event_id)
                        self._board.produced[event.user_id].add(sent)
                    await producer.send_and_wait(
                        self._topic, event.value, key=event.key, headers=list(event.headers)
                    )
                due = max(due + 1 / rate, time.monotonic() - 1)
                await self._pause(due - time.monotonic())
        finally:
            await producer.stop()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._stopping.wait()
        except TimeoutError:
            return


async def follow_page(
    streams: RedisSSEService, page: UserPage, check: DeliveryCheck, arrived: Callable[[UserPage], None]
) -> None:
    """Read a user's stream as a page would, without end; while Redis is away, wait for it."""
    target, after = user(page.user_id), None
    while True:
        try:
            async for position, entry in streams.follow(target, after):
                after = position
                _show(page, position, entry, check)
                arrived(page)
        except SinkUnavailable:
            await asyncio.sleep(_RETRY_SECONDS)


def _show(page: UserPage, position: Position, entry: StreamEntry, check: DeliveryCheck) -> None:
    message = json.loads(entry.data)
    check.arrive(message["session_id"], message["event_id"])
    page.events += 1
    page.event_type = entry.event
    page.text = snippet(message.get("payload"))
    page.age_ms = max(0, time.time_ns() // 1_000_000 - (entry.timestamp or position.id.ms))
    page.arrived_at = time.monotonic()
