"""Rejected records: counted, logged once a cause, kept; nothing is skipped while they cannot be kept."""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence

from .cause_log import CauseLog
from .errors import DeadLettersUnavailable
from .ports import DeadLetter, DeadLetters, Telemetry

RETRY_SECONDS = (0.1, 5.0)
"""First and longest wait before the dead letters are tried again, doubled between."""


class DeadLettering:
    """What becomes of records that will not reach their user."""

    def __init__(self, dead_letters: DeadLetters | None, telemetry: Telemetry, causes: CauseLog) -> None:
        """Without `dead_letters`, records are counted and logged only."""
        self._dead_letters = dead_letters
        self._telemetry = telemetry
        self._causes = causes

    async def keep(self, letters: Sequence[DeadLetter]) -> None:
        """Return once all are kept, however long the dead letters are away: the partition waits."""
        if self._dead_letters is not None:
            await self._store(self._dead_letters, letters)
        for reason, count in Counter(letter.reason for letter in letters).items():
            self._telemetry.rejected(reason, count)
        for letter in letters:
            self._causes.say(
                f"rejected:{letter.reason}",
                logging.WARNING,
                f"rejected: {letter.explanation}",
                reason=letter.reason,
                topic=letter.partition.topic,
                partition=letter.partition.number,
                offset=letter.record.offset,
            )

    async def _store(self, dead_letters: DeadLetters, letters: Sequence[DeadLetter]) -> None:
        delay, longest = RETRY_SECONDS
        while True:
            try:
                return await dead_letters.keep(letters)
            except DeadLettersUnavailable as error:
                self._causes.say("dead_letters", logging.ERROR, f"{error}; the partition waits")
                await asyncio.sleep(delay)
                delay = min(2 * delay, longest)
