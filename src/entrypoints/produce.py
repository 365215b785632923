"""Sends records to a topic at a rate, and tells on standard error how far it is."""

import asyncio
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from ..adapters.kafka.client_manager import KafkaClientManager
from ..adapters.kafka.foreign_errors import described, translated
from .envelope_lines import MAX_LINE_BYTES, NoEnvelope, numbered_lines, session_of
from .sample_events import sample_events

_IN_FLIGHT = 2000
"""Records that wait for their acknowledgement at most."""

_PROGRESS_SECONDS = {True: 0.5, False: 10.0}
"""Between two progress lines, at a terminal and elsewhere."""


class Outgoing(NamedTuple):
    """One record to send; `line` is its number where it comes from a file."""

    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()
    line: int | None = None


@dataclass(slots=True)
class Progress:
    """What was sent so far, and what was not."""

    topic: str
    sent: int = 0
    refused: int = 0

    def refuse(self, line: int | None, why: str) -> None:
        """Name a line that is left out."""
        self.refused += 1
        sys.stderr.write(f"{'' if line is None else f'line {line} '}{why}\n")

    def __str__(self) -> str:
        left_out = f", {self.refused} left out" if self.refused else ""
        return f"{self.sent} records sent to {self.topic}{left_out}"


async def samples(users: int, sessions: int, seed: int) -> AsyncIterator[Outgoing]:
    """Sample events without end."""
    for event in sample_events(users, seed=seed, sessions=sessions):
        yield Outgoing(event.key, event.value, event.headers)


async def envelopes(file: BinaryIO, progress: Progress) -> AsyncIterator[Outgoing]:
    """The envelopes in a file, as they stand there; lines that are none are refused."""
    async for number, line in numbered_lines(file):
        if line is None:
            progress.refuse(number, f"is longer than {MAX_LINE_BYTES} bytes")
            continue
        try:
            yield Outgoing(session_of(line).encode(), line, (), number)
        except NoEnvelope as error:
            progress.refuse(number, str(error))


async def produce(
    clients: KafkaClientManager,
    records: AsyncIterator[Outgoing],
    progress: Progress,
    *,
    rate: float = 0.0,
    count: int | None = None,
) -> None:
    """Send `records`, at most `count`, `rate` a second (0: as fast as it goes); ends when all are stored.

    Raises `SourceUnavailable` or `SourceMisconfigured` when the topic cannot be written.
    """
    if (failure := await clients.why_unreachable()) is not None:
        raise translated(failure, f"connecting to {', '.join(clients.settings.bootstrap_servers)}")
    producer = clients.producer()
    telling = asyncio.create_task(_tell_forever(progress))
    try:
        await producer.start()
        await _send_all(producer, records, progress, rate, count)
    except (KafkaError, OSError) as error:
        raise translated(error, f"sending to {progress.topic}") from error
    finally:
        telling.cancel()
        await producer.stop()
        sys.stderr.write(f"{progress}\n")


async def _send_all(
    producer: AIOKafkaProducer,
    records: AsyncIterator[Outgoing],
    progress: Progress,
    rate: float,
    count: int | None,
) -> None:
    in_flight: deque[tuple[Outgoing, asyncio.Future[Any]]] = deque()
    started = time.monotonic()
    taken = 0
    try:
        async for record in records:
            if rate and (early := started + taken / rate - time.monotonic()) > 0:
                await _settle(in_flight, progress, keep=_IN_FLIGHT)
                await asyncio.sleep(early)
            await _send(producer, record, progress, in_flight)
            taken += 1
            await _settle(in_flight, progress, keep=_IN_FLIGHT)
            if taken == count:
                break
    finally:
        await producer.flush()
        await _settle(in_flight, progress, keep=0)


async def _send(
    producer: AIOKafkaProducer,
    record: Outgoing,
    progress: Progress,
    in_flight: "deque[tuple[Outgoing, asyncio.Future[Any]]]",
) -> None:
    try:
        stored = await producer.send(
            progress.topic, record.value, key=record.key, headers=list(record.headers)
        )
    except MessageSizeTooLargeError as error:
        progress.refuse(record.line, f"is too large to be sent: {described(error)}")
    else:
        in_flight.append((record, stored))


async def _settle(
    in_flight: "deque[tuple[Outgoing, asyncio.Future[Any]]]", progress: Progress, *, keep: int
) -> None:
    """Count what is stored, in order; wait only while more than `keep` are not."""
    while in_flight and (len(in_flight) > keep or in_flight[0][1].done()):
        record, stored = in_flight.popleft()
        try:
            await stored
        except MessageSizeTooLargeError as error:
            progress.refuse(record.line, f"is refused by Kafka: {described(error)}")
        else:
            progress.sent += 1


async def _tell_forever(progress: Progress) -> None:
    at_terminal = sys.stderr.isatty()
    before = 0
    while True:
        await asyncio.sleep(_PROGRESS_SECONDS[at_terminal])
        rate = (progress.sent - before) / _PROGRESS_SECONDS[at_terminal]
        before = progress.sent
        text = f"{progress}, {rate:.0f} a second"
        sys.stderr.write(f"\r{text:<78}\r" if at_terminal else f"{text}\n")
        sys.stderr.flush()


def announce(users: Iterable[str]) -> None:
    """Name the users whose streams the samples are for, so that one can be watched."""
    for user in users:
        sys.stderr.write(f"eventbridge tail --user {user}\n")
