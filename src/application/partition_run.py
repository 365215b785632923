"""Read one partition and apply it: one batch in flight, the next one decoded meanwhile."""

import asyncio
import logging
from collections.abc import Sequence

from ..domain.assignment import Halt, HaltReason
from ..domain.delivery import Partition
from ..domain.partition_ledger import Consequence, Refused, Rewind, Span, StateLost
from .dead_lettering import DeadLettering
from .errors import CircuitOpen, NotAssigned, PartitionPoisoned, PositionOutOfLog
from .intake import Intake, Sorted
from .opening import OpenPartition
from .ports import Clock, DeadLetter, EventSource, Record, Telemetry, Tracing
from .publisher import Publisher

log = logging.getLogger(__name__)

POLL_WAIT_SECONDS = 0.5
"""How long a poll waits for records: how late a run without traffic notices that it is to end."""


class PartitionRun:
    """The use case of one partition while it is ours and may be read."""

    def __init__(
        self,
        partition: Partition,
        opened: OpenPartition,
        *,
        source: EventSource,
        intake: Intake,
        publisher: Publisher,
        dead_lettering: DeadLettering,
        telemetry: Telemetry,
        tracing: Tracing | None,
        clock: Clock,
        max_batch_records: int,
    ) -> None:
        self.partition = partition
        self.opened = opened
        self.ledger = opened.ledger
        self.records_applied = 0
        self.polled_at: float | None = None
        """When the last poll ended, seconds of the clock; None before the first."""
        self._source = source
        self._intake = intake
        self._publisher = publisher
        self._dead_lettering = dead_lettering
        self._telemetry = telemetry
        self._tracing = tracing
        self._where = {"topic": partition.topic, "partition": partition.number}
        self._clock = clock
        self._max_batch_records = max_batch_records
        self._passed = range(0)
        self._ending = False
        self._halt: Halt | None = None
        self._applying: asyncio.Task[None] | None = None

    async def run(self) -> Halt | None:
        """Go on until `end` or until the state is lost (None: decide anew), or the partition must halt."""
        try:
            while not self._ending:
                run = self.ledger.run
                try:
                    polled = await self._source.poll(
                        self.partition, self._max_batch_records, POLL_WAIT_SECONDS
                    )
                except PartitionPoisoned as error:
                    self.halt(Halt(HaltReason.POISONED, str(error)))
                    break
                except PositionOutOfLog as error:
                    log.warning("%s: where to go on is decided anew", error, extra=self._where)
                    break
                self.polled_at = self._clock.monotonic()
                if run != self.ledger.run:
                    # The position was moved under the poll: whatever it gave, read again from there.
                    self._seek()
                    continue
                records = polled.records
                last = (records[-1].offset, records[-1].timestamp) if records else None
                span = None if self._ending else self.ledger.polled(run, polled.next_offset, last)
                if span is None:
                    self._surface()
                    continue
                sorted_ = self._intake.sort(self.partition, records)
                self._telemetry.consumed(self.partition.topic, len(records))
                await self.settle()
                self._applying = asyncio.create_task(self._apply(span, sorted_, records))
            await self.settle()
        finally:
            self._ending = True
            self.announce_passed()
            if self._applying is not None:
                self._applying.cancel()
        return self._halt

    def end(self) -> None:
        """Read no more; `run` returns when what is in flight is done."""
        self._ending = True

    def halt(self, halt: Halt) -> None:
        """End, for this reason."""
        self._halt = halt
        self._ending = True

    async def settle(self) -> None:
        """Wait until nothing is in flight; raises what went wrong there."""
        if self._applying is not None:
            await asyncio.shield(self._applying)

    def _surface(self) -> None:
        """Raise at once what went wrong in flight, not only with the next batch."""
        if self._applying is not None and self._applying.done():
            self._applying.result()

    def take(self, consequence: Consequence) -> None:
        """Do what an answer demands of the whole run.

        Nothing once it ends: the partition may be another run's by then, whose position is not to be moved.
        """
        if self._ending:
            return
        if isinstance(consequence, Rewind):
            log.warning(
                "a shard was rolled back: reading again from offset %d",
                consequence.position,
                extra=self._where,
            )
            self._pass_over(consequence.missing)
            self._seek()
        elif isinstance(consequence, StateLost):
            self._ending = True

    def _seek(self) -> None:
        try:
            self._source.seek(self.partition, self.ledger.position)
        except NotAssigned:
            self._ending = True

    async def _apply(self, span: Span, found: Sorted, records: Sequence[Record]) -> None:
        batch_trace = (
            self._tracing.batch(self.partition, len(records), found.traces)
            if self._tracing is not None and found.traces
            else None
        )
        error: str | None = "cancelled"
        try:
            if span.run == self.ledger.run:
                await self._apply_span(span, found, records)
            error = None if span.run == self.ledger.run else "superseded"
        except CircuitOpen:
            error = "dropped"
            if span.run == self.ledger.run:
                self._pass_over(self.ledger.drop())
        finally:
            for trace in found.traces:
                trace.end(error)
            if batch_trace is not None:
                batch_trace.end(error)

    async def _apply_span(self, span: Span, found: Sorted, records: Sequence[Record]) -> None:
        if found.letters:
            await self._dead_lettering.keep(found.letters)
        self.ledger.routed(span, found.entries)
        outcomes = await asyncio.gather(
            *(self._apply_shard(span, shard, records) for shard in span.shards), return_exceptions=True
        )
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        if found.filtered:
            self._telemetry.filtered(found.filtered)
        self.records_applied += len(records)

    async def _apply_shard(self, span: Span, shard: int, records: Sequence[Record]) -> None:
        while (batch := self.ledger.next_batch(span, shard)) is not None:
            (answer,) = await self._publisher.publish_batch(batch)
            consequence = self.ledger.answered(span, batch, answer)
            if isinstance(consequence, Refused):
                await self._keep_refused(consequence.offsets, records)
                self.ledger.discard(span, shard, consequence.offsets)
            elif consequence is not None:
                self.take(consequence)
                return

    async def _keep_refused(self, offsets: tuple[int, ...], records: Sequence[Record]) -> None:
        refused = set(offsets)
        explanation = "the key of this user's stream holds something else"
        await self._dead_lettering.keep(
            [
                DeadLetter(self.partition, record, "wrong_type", "payload.user_id", explanation)
                for record in records
                if record.offset in refused
            ]
        )

    def _pass_over(self, offsets: range) -> None:
        if not offsets:
            return
        self._telemetry.dropped("policy", len(offsets))
        if offsets.start == self._passed.stop:
            self._passed = range(self._passed.start, offsets.stop)
        else:
            self.announce_passed()
            self._passed = offsets

    def announce_passed(self) -> None:
        """Log which offsets were dropped since the last announcement (DELIVERY.md G4: they all are)."""
        if self._passed:
            log.error(
                "dropped by policy, since the sink is not writable: offsets %d to %d, at most",
                self._passed[0],
                self._passed[-1],
                extra=self._where | {"offset": self._passed[0]},
            )
        self._passed = range(self._passed.stop, self._passed.stop)
