"""Sends records to one topic: what the `produce` command and the demo put there."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from .client_manager import KafkaClientManager
from .foreign_errors import described, translated

_IN_FLIGHT = 2000
"""Records that wait for their acknowledgement at most."""

_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)

Refused = Callable[[str], None]
"""Is told why a record cannot be stored, however often it is sent."""


class KafkaRecordSender:
    """A producer with a bounded number of records in flight, which it stores in the order of the calls.

    Calls raise `SourceUnavailable` and `SourceMisconfigured`.
    """

    def __init__(self, clients: KafkaClientManager, topic: str) -> None:
        self._clients = clients
        self._topic = topic
        self._producer: AIOKafkaProducer | None = None
        self._in_flight: deque[tuple[asyncio.Future[Any], Refused]] = deque()
        self.stored = 0
        """Records that all replicas in sync have."""

    async def open(self) -> None:
        """Connect; fails at once where no broker lets us in."""
        if (failure := await self._clients.why_unreachable()) is not None:
            raise translated(failure, f"connecting to {', '.join(self._clients.settings.bootstrap_servers)}")
        self._producer = self._clients.producer()
        try:
            await self._producer.start()
        except (KafkaError, OSError) as error:
            raise translated(error, "connecting") from error

    async def send(
        self, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]], refused: Refused
    ) -> None:
        """Hand a record over; returns before it is stored, or later where too many are under way."""
        if self._producer is None:
            raise RuntimeError("not open")
        try:
            stored = await self._producer.send(self._topic, value, key=key, headers=list(headers))
        except _TOO_LARGE as error:
            refused(f"is too large: {described(error)}")
        except (KafkaError, OSError) as error:
            raise translated(error, f"sending to {self._topic}") from error
        else:
            self._in_flight.append((stored, refused))
            await self._settle(keep=_IN_FLIGHT)

    async def flush(self) -> None:
        """Return once everything that was handed over is stored or refused."""
        if self._producer is not None:
            await self._producer.flush()
            await self._settle(keep=0)

    async def close(self) -> None:
        """Close the producer; what is in flight is sent first."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def _settle(self, *, keep: int) -> None:
        """Count what is stored, in order; wait only while more than `keep` are not."""
        while self._in_flight and (len(self._in_flight) > keep or self._in_flight[0][0].done()):
            stored, refused = self._in_flight.popleft()
            try:
                await stored
            except _TOO_LARGE as error:
                refused(f"is too large: {described(error)}")
            except KafkaError as error:
                raise translated(error, f"sending to {self._topic}") from error
            else:
                self.stored += 1
