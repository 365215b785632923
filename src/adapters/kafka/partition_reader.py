"""Reads one assigned partition, from its assignment to its revocation."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    ConsumerStoppedError,
    CorruptRecordException,
    KafkaError,
    OffsetOutOfRangeError,
    RecordTooLargeError,
    TopicAuthorizationFailedError,
    UnsupportedCodecError,
)

from ...application.errors import (
    NotAssigned,
    PartitionPoisoned,
    PositionOutOfLog,
    SourceMisconfigured,
    SourceUnavailable,
)
from ...application.ports import LogBounds, Polled, Record
from ...domain.delivery import Partition
from .foreign_errors import described, translated

log = logging.getLogger(__name__)

UNKNOWN_TIMESTAMP = -1
"""Kafka's own sign for a record without a timestamp."""

ATTEMPTS = 5
"""At one offset, before the partition counts as poisoned."""

FIRST_BACKOFF_SECONDS = 0.05
CORRUPTIONS = (CorruptRecordException, UnsupportedCodecError)
"""The errors of Kafka's protocol that lie in a batch."""

LOOK_SECONDS = 0.25
"""How often a search for one record looks whether it has passed its offset."""


class PartitionReader:
    """One partition of one assignment. Fetches nothing before the first `seek`.

    aiokafka forgets pauses at each rebalance and has positions of its own; the ones here are ours.
    """

    def __init__(
        self, consumer: AIOKafkaConsumer, partition: Partition, troubled: Callable[[KafkaError], None]
    ) -> None:
        """`troubled` hears of errors that are not this partition's own."""
        self.partition = partition
        self._consumer = consumer
        self._tp = TopicPartition(partition.topic, partition.number)
        self._troubled = troubled
        self._position: int | None = None
        self._paused = False
        self._revoked = False
        self._interruption: asyncio.Future[None] | None = None
        self._failed_at: int | None = None
        self._failures = 0
        consumer.pause(self._tp)

    @property
    def revoked(self) -> bool:
        """Whether it was told to end."""
        return self._revoked

    @property
    def waiting(self) -> bool:
        """Whether a poll waits for records that a broker is asked for."""
        return self._interruption is not None and not self._paused

    def seek(self, offset: int) -> None:
        """Read on at `offset`."""
        self._consumer.seek(self._tp, offset)
        self._position = offset
        if offset != self._failed_at:
            self._forgive()
        if not self._paused:
            self._consumer.resume(self._tp)
        self._interrupt()

    def pause(self) -> None:
        """Fetch nothing until resumed."""
        self._paused = True
        self._consumer.pause(self._tp)
        self._interrupt()

    def resume(self) -> None:
        """Fetch again, from the position; nothing before one is known."""
        self._paused = False
        if self._position is not None:
            self._consumer.resume(self._tp)
        self._interrupt()

    def revoke(self) -> None:
        """Give nothing from now on; a poll that waits returns nothing."""
        self._revoked = True
        self._interrupt()

    def lag(self) -> int | None:
        """Records between the position and the log's end as of the last fetch."""
        if self._revoked or self._position is None:
            return None
        end: int | None = self._consumer.highwater(self._tp)
        return None if end is None else max(0, end - self._position)

    def fetched_at(self) -> int | None:
        """When a broker last answered a fetch of this partition (aiokafka's clock), None if never."""
        if self._revoked:
            return None
        answered: int | None = self._consumer.last_poll_timestamp(self._tp)
        return answered

    async def poll(self, max_records: int, limit_seconds: float) -> Polled:
        """As `EventSource.poll`."""
        if self._revoked:
            raise NotAssigned(self.partition)
        clock = asyncio.get_running_loop().time
        deadline = clock() + limit_seconds
        polled: Polled | None = None
        if not self._paused and not self._failures:
            # What lies ready costs no task and no timer: aiokafka waits for nothing here.
            polled = await self._attempt(max_records, 0)
        while polled is None and (left := deadline - clock()) > 0:
            if self._paused:
                await self._interrupted(left)
                break
            polled = await self._attempt(max_records, left)
            left = deadline - clock()
            if polled is None and left > 0 and await self._interrupted(min(left, self._backoff())):
                break
        return polled or self._nothing()

    async def timestamp_at(self, offset: int, bounds: LogBounds, limit_seconds: float) -> int | None:
        """As `EventSource.timestamp_at`; the position is unknown afterwards, and nothing is fetched."""
        if self._revoked:
            raise NotAssigned(self.partition)
        if not bounds.start <= offset < bounds.end:
            return None
        clock = asyncio.get_running_loop().time
        deadline = clock() + limit_seconds
        self._consumer.seek(self._tp, offset)
        self._position = offset
        self._consumer.resume(self._tp)
        try:
            while (left := deadline - clock()) > 0:
                records = await self._wait(1, min(left, LOOK_SECONDS))
                if self._revoked:
                    raise NotAssigned(self.partition)
                if records:
                    return records[0].timestamp if records[0].offset == offset else None
                # Control records and aborted transactions move the position and give no record.
                if await self._consumer.position(self._tp) > offset:
                    return None
        except (RecordTooLargeError, OffsetOutOfRangeError):
            return None
        except KafkaError as error:
            if not isinstance(error, CORRUPTIONS):
                raise translated(error, f"reading {self.partition} at {offset}") from error
            raise PartitionPoisoned(self.partition, offset, described(error)) from error
        except (ValueError, ArithmeticError, LookupError) as error:
            raise PartitionPoisoned(self.partition, offset, described(error)) from error
        finally:
            self._position = None
            if not self._revoked:
                self._consumer.pause(self._tp)
        raise SourceUnavailable(f"no answer for {self.partition} at {offset} in {limit_seconds:g} s")

    async def _attempt(self, max_records: int, limit_seconds: float) -> Polled | None:
        """One try; None where nothing came and waiting on may help."""
        before = self._sought()
        try:
            taken = await (
                self._wait(max_records, limit_seconds) if limit_seconds else self._take(max_records, 0)
            )
            if self._revoked:
                return self._nothing()
            if taken is None:
                # Records may have been taken while the seek or pause came: read them again.
                self._consumer.seek(self._tp, self._sought())
                return self._nothing()
            position = await self._consumer.position(self._tp)
        except Exception as error:  # whatever a batch may raise while it is decoded
            return self._failed(error)
        if position != before:
            self._position = position
            self._forgive()
        if not taken:
            return None
        return Polled([Record(r.offset, r.timestamp, r.key, r.value, r.headers) for r in taken], position)

    async def _wait(self, max_records: int, limit_seconds: float) -> Sequence[Any] | None:
        """Take records as soon as there are some; None where a seek, pause or revocation came between.

        The task may be cancelled although aiokafka never closes the bracket around a poll then
        (aiokafka 0.14): all that hangs on it is its poll interval, which is out of reach anyway.
        """
        self._interruption = asyncio.get_running_loop().create_future()
        taking = asyncio.create_task(self._take(max_records, limit_seconds))
        try:
            # aiokafka waits without limit while the group rebalances, hence a limit of our own.
            await asyncio.wait(
                (taking, self._interruption), timeout=limit_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            interrupted = self._interruption.done()
        finally:
            self._interruption = None
            taking.cancel()
            await asyncio.wait({taking})
        if taking.cancelled():
            return None if interrupted else ()
        taken = taking.result()
        return None if interrupted else taken

    async def _take(self, max_records: int, limit_seconds: float) -> Sequence[Any]:
        """aiokafka's records; after a failure one by one, so that what comes before the bad one is had."""
        timeout_ms = round(limit_seconds * 1000)
        if not self._failures:
            found = await self._consumer.getmany(self._tp, timeout_ms=timeout_ms, max_records=max_records)
            whole: Sequence[Any] = found.get(self._tp, ())
            return whole
        taken: list[Any] = []
        while len(taken) < max_records:
            try:
                found = await self._consumer.getmany(self._tp, timeout_ms=timeout_ms, max_records=1)
            except Exception:
                if not taken:
                    raise
                # It comes again, first, at the next poll.
                self._consumer.seek(self._tp, taken[-1].offset + 1)
                break
            if not found:
                break
            taken += found[self._tp]
            timeout_ms = 0
        return taken

    def _failed(self, error: Exception) -> Polled | None:
        position = self._sought()
        if self._revoked or isinstance(error, ConsumerStoppedError):
            return self._nothing()
        if isinstance(error, RecordTooLargeError):
            self._position = position + 1
            self._consumer.seek(self._tp, position + 1)
            record = Record(position, UNKNOWN_TIMESTAMP, None, None, (), too_large=True)
            return Polled((record,), position + 1)
        self._consumer.seek(self._tp, position)
        if isinstance(error, OffsetOutOfRangeError):
            raise PositionOutOfLog(self.partition, position) from error
        if isinstance(error, KafkaError) and not isinstance(error, CORRUPTIONS):
            if not isinstance(error, TopicAuthorizationFailedError):
                self._troubled(error)
            raised = translated(error, f"reading {self.partition}")
            if isinstance(raised, SourceMisconfigured):
                raise raised from error
            return None
        if self._failed_at != position:
            self._failed_at, self._failures = position, 0
        self._failures += 1
        log.warning(
            "%s cannot be read at offset %d, attempt %d: %s",
            self.partition,
            position,
            self._failures,
            described(error),
        )
        if self._failures >= ATTEMPTS:
            raise PartitionPoisoned(self.partition, position, described(error)) from error
        return None

    async def _interrupted(self, limit_seconds: float) -> bool:
        self._interruption = asyncio.get_running_loop().create_future()
        try:
            done, _ = await asyncio.wait({self._interruption}, timeout=limit_seconds)
        finally:
            self._interruption = None
        return bool(done)

    def _interrupt(self) -> None:
        if self._interruption is not None and not self._interruption.done():
            self._interruption.set_result(None)

    def _backoff(self) -> float:
        return FIRST_BACKOFF_SECONDS * 2.0**self._failures

    def _forgive(self) -> None:
        self._failed_at, self._failures = None, 0

    def _sought(self) -> int:
        if self._position is None:
            raise RuntimeError(f"{self.partition} is read before it was sought")
        return self._position

    def _nothing(self) -> Polled:
        return Polled((), self._sought())
