"""Rejected records in a Kafka topic."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from ...application.errors import DeadLettersUnavailable
from ...application.ports import DeadLetter
from .client_manager import KafkaClientManager
from .foreign_errors import described
from .unbroken_start import started

log = logging.getLogger(__name__)

LIMIT_SECONDS = 15.0
"""For one call, connecting included."""

TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)

Header = tuple[str, bytes | None]


class KafkaDeadLetters:
    """The `DeadLetters` port: each record goes to one topic as it was, with headers that say why.

    Headers added: `eventbridge-reason`, `-explanation`, `-topic`, `-partition`, `-offset`, `-timestamp`
    (the record's, ms), and `-field` where one is to blame. What no request can hold is left out, and a
    header says so: `eventbridge-value-omitted`, if need be `eventbridge-headers-omitted` and
    `eventbridge-key-omitted`, with their size in bytes. A record without key and value, which aiokafka
    does not send, gets an empty value and `eventbridge-value-null`.
    """

    def __init__(self, clients: KafkaClientManager, topic: str, limit_seconds: float = LIMIT_SECONDS) -> None:
        self._clients = clients
        self._topic = topic
        self._limit_seconds = limit_seconds
        self._producer: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()

    async def keep(self, letters: Sequence[DeadLetter]) -> None:
        """Return once all are stored on all replicas in sync; connects at the first call."""
        try:
            async with asyncio.timeout(self._limit_seconds), self._lock:
                await self._keep(await self._connected(), letters)
        except TimeoutError:
            await self.stop()
            raise DeadLettersUnavailable(f"{self._topic}: not stored in {self._limit_seconds:g} s") from None
        except (KafkaError, OSError) as error:
            # The sequence of an idempotent producer may be broken now: the next call takes a new one.
            await self.stop()
            raise DeadLettersUnavailable(f"{self._topic}: {described(error)}") from error

    async def stop(self) -> None:
        """Close the producer, within a few seconds; the next `keep` opens another."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _closed(producer, self._clients.settings.stop_limit_seconds)

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = self._clients.producer()
            try:
                await started(producer.start())
            except BaseException:
                await _closed(producer, self._clients.settings.stop_limit_seconds)
                raise
            self._producer = producer
        return self._producer

    async def _keep(self, producer: AIOKafkaProducer, letters: Sequence[DeadLetter]) -> None:
        sent = []
        for letter in letters:
            sent.append((letter, await self._sent(producer, letter)))
        # All are waited for, so that no failure stays behind unseen when another one is raised.
        outcomes = await asyncio.gather(*(stored for _, stored in sent), return_exceptions=True)
        for (letter, _), outcome in zip(sent, outcomes, strict=True):
            if isinstance(outcome, TOO_LARGE):
                await self._alone(producer, letter)
            elif isinstance(outcome, BaseException):
                raise outcome

    async def _alone(self, producer: AIOKafkaProducer, letter: DeadLetter) -> None:
        """Store one letter that the broker refused, which may have been for what lay in the same batch."""
        try:
            await (await self._sent(producer, letter))
        except TOO_LARGE:
            await (await self._sent(producer, letter, whole=False))

    async def _sent(
        self, producer: AIOKafkaProducer, letter: DeadLetter, *, whole: bool = True
    ) -> asyncio.Future[Any]:
        """Hand one letter to the producer, as much of it as a request holds."""
        record, why = letter.record, _why(letter)
        value, headers = record.value, [*record.headers, *why]
        if record.key is None and value is None:
            value = b""
            headers.append(("eventbridge-value-null", b"true"))
        forms = [(record.key, value, headers)] if whole else []
        omitted = ("eventbridge-value-omitted", b"%d" % len(record.value or b""))
        forms.append((record.key, b"", [*record.headers, *why, omitted]))
        size = sum(len(name) + len(content or b"") for name, content in record.headers)
        last = [*why, omitted, ("eventbridge-headers-omitted", b"%d" % size)]
        forms.append((record.key, b"", last))
        forms.append((None, b"", [*last, ("eventbridge-key-omitted", b"%d" % len(record.key or b""))]))
        for key, content, added in forms[:-1]:
            try:
                return await _handed_over(producer, self._topic, key, content, added)
            except MessageSizeTooLargeError:
                log.warning("%s at %d is too large to be kept whole", letter.partition, record.offset)
        key, content, added = forms[-1]
        return await _handed_over(producer, self._topic, key, content, added)


def _why(letter: DeadLetter) -> list[Header]:
    record, partition = letter.record, letter.partition
    why: list[Header] = [
        ("eventbridge-reason", letter.reason.encode()),
        ("eventbridge-explanation", letter.explanation[:2000].encode(errors="replace")),
        ("eventbridge-topic", partition.topic.encode()),
        ("eventbridge-partition", b"%d" % partition.number),
        ("eventbridge-offset", b"%d" % record.offset),
        ("eventbridge-timestamp", b"%d" % record.timestamp),
    ]
    if letter.field is not None:
        why.append(("eventbridge-field", letter.field[:1000].encode(errors="replace")))
    return why


async def _handed_over(
    producer: AIOKafkaProducer, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[Header]
) -> asyncio.Future[Any]:
    stored: asyncio.Future[Any] = await producer.send(topic, value, key=key, headers=list(headers))
    return stored


async def _closed(producer: AIOKafkaProducer, limit_seconds: float) -> None:
    closing = asyncio.create_task(producer.stop())
    _, late = await asyncio.wait({closing}, timeout=limit_seconds)
    if late:
        closing.cancel()
        await asyncio.wait({closing}, timeout=1)
        await producer.client.close()
    elif closing.exception() is not None:
        log.warning("closing the dead letters' producer failed: %s", closing.exception())
