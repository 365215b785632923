"""One assigned partition, from its assignment to its end: opened, run, halted, looked at again."""

import asyncio
import logging
from collections.abc import Callable

from ..domain.assignment import Halt, HaltReason
from ..domain.delivery import Partition
from .cause_log import CauseLog
from .checkpoints import Checkpoints
from .errors import NotAssigned, SinkMisconfigured, SourceMisconfigured, SourceUnavailable
from .opening import Opening, OpenPartition
from .partition_run import PartitionRun
from .ports import Clock, Telemetry

log = logging.getLogger(__name__)

SOURCE_RETRY_SECONDS = 1.0
"""How long a partition waits after its source did not answer."""


class PartitionReader:
    """Keeps a partition being read for as long as it is ours."""

    def __init__(
        self,
        partition: Partition,
        *,
        opening: Opening,
        begin: Callable[[OpenPartition], PartitionRun],
        checkpoints: Checkpoints,
        telemetry: Telemetry,
        causes: CauseLog,
        clock: Clock,
        halt_retry_seconds: float,
    ) -> None:
        self.partition = partition
        self.halted: Halt | None = None
        """Why it is not read at present."""
        self.current: PartitionRun | None = None
        self._opening = opening
        self._begin = begin
        self._checkpoints = checkpoints
        self._telemetry = telemetry
        self._causes = causes
        self._halt_retry_seconds = halt_retry_seconds
        self._polled_at = clock.monotonic()
        self._ended = asyncio.Event()

    @property
    def ended(self) -> bool:
        """Whether it was asked to read no more."""
        return self._ended.is_set()

    @property
    def polled_at(self) -> float:
        """When the last poll ended, seconds of the clock; before the first, when it became ours."""
        run = self.current
        return self._polled_at if run is None or run.polled_at is None else run.polled_at

    async def run(self) -> None:
        """Read until `end`, or until the partition turns out not to be ours any more."""
        try:
            while not self._ended.is_set():
                await self._read()
        except NotAssigned:
            log.info("%s is not ours any more", self.partition)
        finally:
            self._ended.set()
            self._proceed()

    def end(self) -> None:
        """Read no more."""
        self._ended.set()
        if self.current is not None:
            self.current.end()

    async def _read(self) -> None:
        try:
            halt = await self._read_until_halted()
        except SourceUnavailable as error:
            self._causes.say("source", logging.WARNING, str(error))
            return await self._rest(SOURCE_RETRY_SECONDS)
        except SinkMisconfigured as error:
            halt = Halt(HaltReason.SINK_MISCONFIGURED, str(error))
        except SourceMisconfigured as error:
            halt = Halt(HaltReason.SOURCE_MISCONFIGURED, str(error))
        if halt is not None:
            self._halt(halt)
            await self._rest(self._halt_retry_seconds)
        return None

    async def _read_until_halted(self) -> Halt | None:
        opened = await self._opening.open(self.partition)
        if isinstance(opened, Halt):
            return opened
        self._proceed()
        run = self.current = self._begin(opened)
        if self._ended.is_set():
            run.end()
        self._checkpoints.add(run)
        try:
            return await run.run()
        finally:
            self._checkpoints.remove(run)
            self._polled_at = self.polled_at
            self.current = None

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        except TimeoutError:
            return

    def _halt(self, halt: Halt) -> None:
        if self.halted != halt:
            log.error(
                "%s is halted (%s): %s",
                self.partition,
                halt.reason,
                halt.explanation,
                extra={"topic": self.partition.topic, "partition": self.partition.number},
            )
        self.halted = halt
        self._telemetry.halted(self.partition, halt.reason)

    def _proceed(self) -> None:
        if self.halted is not None:
            self.halted = None
            self._telemetry.halted(self.partition, None)
