"""The bridge: for each assigned partition consume, filter, publish, commit; pause while the sink is away."""

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from ..domain.assignment import AssignmentPolicy
from ..domain.delivery import Partition
from ..domain.event_filter import EventFilter
from .cause_log import CauseLog
from .checkpoints import Checkpoints
from .dead_lettering import DeadLettering
from .errors import CircuitOpen, NotAssigned, SinkMisconfigured, SourceMisconfigured, SourceUnavailable
from .health import Check, HealthReport
from .intake import Intake
from .opening import Opening, OpenPartition
from .partition_reader import PartitionReader
from .partition_run import POLL_WAIT_SECONDS, PartitionRun
from .ports import Clock, DeadLetters, EventSink, EventSource, Telemetry, Tracing
from .publisher import Publisher
from .sink_gate import SinkGate

log = logging.getLogger(__name__)

STALE_POLL_SECONDS = 30.0
"""A bridge that has not polled for so long is not ready (DESIGN.md 6: last poll recent)."""

LAG_SECONDS = 1.0
"""Between two looks at the lag."""


class BridgeSettings(msgspec.Struct, frozen=True):
    """What an operator may choose of the bridge itself."""

    policy: AssignmentPolicy = AssignmentPolicy()
    drop_on_sink_failure: bool = False
    max_batch_records: int = 2000
    max_message_bytes: int = 65_536
    commit_batch_size: int = 1000
    commit_interval_seconds: float = 2
    checkpoint_seconds: float = 2
    halt_retry_seconds: float = 30
    """How long a halted partition waits before it is looked at again (DELIVERY.md 4.8)."""
    revoke_limit_seconds: float = 5
    """How long a revocation may wait for what is in flight; the rest is repeated by the next owner."""
    stop_limit_seconds: float = 10
    """The same for a stop."""


class DomainEventBridgeService:
    """Carries a source's events into a sink, exactly once where the sink has memory (DELIVERY.md 4)."""

    def __init__(
        self,
        *,
        source: EventSource,
        sink: EventSink,
        event_filter: EventFilter,
        gate: SinkGate,
        telemetry: Telemetry,
        clock: Clock,
        dead_letters: DeadLetters | None = None,
        tracing: Tracing | None = None,
        settings: BridgeSettings | None = None,
    ) -> None:
        self._settings = settings or BridgeSettings()
        self._source = source
        self._gate = gate
        self._telemetry = telemetry
        self._clock = clock
        self._tracing = tracing
        self._causes = CauseLog(log, clock)
        self._publisher = Publisher(
            sink,
            gate,
            telemetry,
            clock,
            self._causes,
            max_message_bytes=self._settings.max_message_bytes,
            waits_for_sink=not self._settings.drop_on_sink_failure,
        )
        self._intake = Intake(event_filter, self._publisher, tracing)
        self._dead_lettering = DeadLettering(dead_letters, telemetry, self._causes)
        self._opening = Opening(source, sink, self._publisher, telemetry, self._settings.policy)
        self._checkpoints = Checkpoints(
            source=source,
            sink=sink,
            publisher=self._publisher,
            telemetry=telemetry,
            clock=clock,
            causes=self._causes,
            checkpoint_seconds=self._settings.checkpoint_seconds,
            commit_seconds=self._settings.commit_interval_seconds,
            commit_records=self._settings.commit_batch_size,
        )
        self._assignment: tuple[Partition, ...] = ()
        self._joined = False
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._readers: dict[Partition, PartitionReader] = {}
        self._tasks: dict[Partition, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Join the group and carry events until `stop`; then finish what is in flight, commit, leave.

        Raises `SourceUnavailable` or `SourceMisconfigured` if the source cannot be joined; may then be
        called again.
        """
        await self._source.start(self)
        unlisten = self._gate.listen(opened=self._opened, closed=self._closed)
        try:
            async with asyncio.TaskGroup() as tasks:
                background = [
                    tasks.create_task(self._checkpoints.checkpoint_forever()),
                    tasks.create_task(self._checkpoints.commit_forever()),
                    tasks.create_task(self._checkpoints.probe_forever()),
                    tasks.create_task(self._show_forever()),
                ]
                await self._follow_assignment(tasks)
                for task in background:
                    task.cancel()
                await self._finish(list(self._readers.values()), self._settings.stop_limit_seconds)
                await self._dismiss(list(self._readers))
        finally:
            unlisten()
            self._joined = False
            self._causes.close()
            await self._source.stop()

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stopping.set()
        self._changed.set()

    async def revoked(self, partitions: Sequence[Partition]) -> None:
        """Finish what is in flight of these, as far as time allows, and commit it."""
        self._assignment = tuple(p for p in self._assignment if p not in partitions)
        readers = [self._readers[partition] for partition in partitions if partition in self._readers]
        await self._finish(readers, self._settings.revoke_limit_seconds)
        for partition in partitions:
            self._telemetry.lag(partition, None)

    async def assigned(self, partitions: Sequence[Partition]) -> None:
        """Take note of all partitions that are ours."""
        self._assignment = tuple(partitions)
        self._joined = True
        if self._pauses and self._gate.is_open:
            self._source.pause(partitions)
        self._telemetry.rebalanced()
        self._changed.set()

    def health(self) -> HealthReport:
        """Whether events flow, and if not, why."""
        halts = [
            f"{p}: {r.halted.reason}, {r.halted.explanation}" for p, r in self._readers.items() if r.halted
        ]
        ours = [self._readers[p] for p in self._assignment if p in self._readers]
        read = sum(reader.current is not None for reader in ours)
        now = self._clock.monotonic()
        stale = max((now - reader.polled_at for reader in ours if not reader.halted), default=0.0)
        checks = (
            Check("assignment", self._joined, self._describe_assignment(read)),
            Check(
                "sink", not self._gate.is_open, "the circuit is open" if self._gate.is_open else "takes calls"
            ),
            Check("partitions", not halts, "; ".join(halts) or "none is halted"),
            Check("polls", stale < STALE_POLL_SECONDS, f"the last one ended {stale:.0f} s ago at most"),
        )
        return HealthReport(live=True, ready=all(check.ok for check in checks), checks=checks)

    def _describe_assignment(self, read: int) -> str:
        if not self._joined:
            return "the group has not been joined"
        return f"{len(self._assignment)} partitions are ours, {read} are read"

    @property
    def _pauses(self) -> bool:
        return not self._settings.drop_on_sink_failure

    def _opened(self) -> None:
        log.warning("the sink is not writable: reading is paused", extra={"circuit_state": "open"})
        if self._pauses:
            self._source.pause(self._assignment)

    def _closed(self) -> None:
        self._causes.close()
        log.warning("the sink is writable again", extra={"circuit_state": "closed"})
        if self._pauses:
            self._source.resume(self._assignment)

    async def _follow_assignment(self, tasks: asyncio.TaskGroup) -> None:
        """Have one reader per partition that is ours, until asked to stop."""
        while not self._stopping.is_set():
            await self._changed.wait()
            self._changed.clear()
            await self._dismiss([p for p, reader in self._readers.items() if reader.ended])
            for partition in self._assignment:
                if partition not in self._readers:
                    reader = self._readers[partition] = self._reader(partition)
                    self._tasks[partition] = tasks.create_task(reader.run())

    async def _dismiss(self, partitions: Sequence[Partition]) -> None:
        """A poll is not to be cancelled, it returns soon; whoever waits for the sink still is."""
        tasks = [self._tasks.pop(partition) for partition in partitions]
        if not tasks:
            return
        _, waiting = await asyncio.wait(tasks, timeout=2 * POLL_WAIT_SECONDS)
        for task in waiting:
            task.cancel()
        await asyncio.wait(tasks)
        for partition in partitions:
            del self._readers[partition]

    def _reader(self, partition: Partition) -> PartitionReader:
        return PartitionReader(
            partition,
            opening=self._opening,
            begin=lambda opened: self._begin(partition, opened),
            checkpoints=self._checkpoints,
            telemetry=self._telemetry,
            causes=self._causes,
            clock=self._clock,
            halt_retry_seconds=self._settings.halt_retry_seconds,
        )

    def _begin(self, partition: Partition, opened: OpenPartition) -> PartitionRun:
        return PartitionRun(
            partition,
            opened,
            source=self._source,
            intake=self._intake,
            publisher=self._publisher,
            dead_lettering=self._dead_lettering,
            telemetry=self._telemetry,
            tracing=self._tracing,
            clock=self._clock,
            max_batch_records=self._settings.max_batch_records,
        )

    async def _finish(self, readers: Sequence[PartitionReader], limit_seconds: float) -> None:
        """Read no more in these; wait for what is in flight, checkpoint and commit, all within the limit."""
        runs = [reader.current for reader in readers if reader.current is not None]
        for reader in readers:
            reader.end()
        if not self._gate.is_open:
            try:
                async with asyncio.timeout(limit_seconds):
                    await asyncio.gather(*(run.settle() for run in runs), return_exceptions=True)
                    await self._checkpoints.checkpoint(runs)
            except (TimeoutError, SinkMisconfigured, CircuitOpen):
                log.warning("what is in flight was not finished in time: it is repeated later, and filtered")
        await self._checkpoints.commit(runs)

    async def _show_forever(self) -> None:
        """Keep the gauges current."""
        while True:
            for partition in self._assignment:
                lag = await self._lag(partition)
                if partition in self._assignment:
                    self._telemetry.lag(partition, lag)
            await asyncio.sleep(LAG_SECONDS)

    async def _lag(self, partition: Partition) -> int | None:
        """A source that is paused learns nothing of the log's end by itself: then it is asked."""
        run = self._readers[partition].current if partition in self._readers else None
        if run is None or not (self._gate.is_open and self._pauses):
            return self._source.lag(partition)
        try:
            bounds = await self._source.bounds(partition)
        except (SourceUnavailable, SourceMisconfigured, NotAssigned):
            return self._source.lag(partition)
        return max(0, bounds.end - run.ledger.applied_upto - 1)
