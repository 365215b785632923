"""Sends records to a topic at a rate, and tells on standard error how far it is."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, NamedTuple

from ..adapters.kafka.record_sender import KafkaRecordSender
from .envelope_lines import MAX_LINE_BYTES, NoEnvelope, numbered_lines, session_of
from .sample_events import sample_events

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
        sys.stderr.write(f"{'a record' if line is None else f'line {line}'} {why}\n")

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
    sender: KafkaRecordSender,
    records: AsyncIterator[Outgoing],
    progress: Progress,
    *,
    rate: float = 0.0,
    count: int | None = None,
) -> None:
    """Send `records`, at most `count`, `rate` a second (0: as fast as it goes); ends when all are stored.

    Raises `SourceUnavailable` or `SourceMisconfigured` when the topic cannot be written.
    """
    telling: asyncio.Task[None] | None = None
    try:
        await sender.open()
        telling = asyncio.create_task(_tell_forever(progress))
        try:
            await _send_all(sender, records, progress, rate, count)
        finally:
            await sender.flush()
            progress.sent = sender.stored
    finally:
        if telling is not None:
            telling.cancel()
            sys.stderr.write(f"{progress}\n")
        await sender.close()


async def _send_all(
    sender: KafkaRecordSender,
    records: AsyncIterator[Outgoing],
    progress: Progress,
    rate: float,
    count: int | None,
) -> None:
    started = time.monotonic()
    taken = 0
    async for record in records:
        if rate and (early := started + taken / rate - time.monotonic()) > 0:
            await asyncio.sleep(early)
        refuse = partial(progress.refuse, record.line)
        await sender.send(record.key, record.value, record.headers, refuse)
        progress.sent = sender.stored
        taken += 1
        if taken == count:
            return


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
