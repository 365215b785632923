"""Open an assigned partition: gather the facts, decide (`domain.assignment.plan`), carry the decision out."""

import logging
from collections.abc import Mapping, Sequence

from ..domain.assignment import (
    AssignmentPolicy,
    Halt,
    HaltReason,
    Initialise,
    Resume,
    Situation,
    Stamp,
    plan,
)
from ..domain.delivery import Answer, Applied, Batch, Commit, Mark, Partition
from ..domain.partition_ledger import PartitionLedger
from .errors import PartitionPoisoned
from .ports import EventSink, EventSource, Telemetry
from .publisher import Publisher

log = logging.getLogger(__name__)


class OpenPartition:
    """A partition that may be read: its ledger, and the stamp of its commits."""

    __slots__ = ("ledger", "stamp")

    def __init__(self, ledger: PartitionLedger, stamp: Stamp) -> None:
        self.ledger = ledger
        self.stamp = stamp

    def commit(self) -> Commit:
        """What may be committed now."""
        ledger = self.ledger
        stamp = Stamp(self.stamp.source, self.stamp.partitions, ledger.dropped_to)
        return Commit(ledger.applied_upto + 1, stamp.encode())


class Opening:
    """Finds out where an assigned partition's run begins, and makes it so."""

    def __init__(
        self,
        source: EventSource,
        sink: EventSink,
        publisher: Publisher,
        telemetry: Telemetry,
        policy: AssignmentPolicy,
    ) -> None:
        self._source = source
        self._sink = sink
        self._publisher = publisher
        self._telemetry = telemetry
        self._policy = policy

    async def open(self, partition: Partition) -> OpenPartition | Halt:
        """Answer the opened partition, sought to where it is to be read; or why it must not be read.

        Raises what the ports raise, but for an unavailable sink, which is waited for.
        """
        while True:
            decision = plan(await self._gather(partition), self._policy)
            if isinstance(decision, Initialise):
                await self._initialise(partition, decision)
            elif isinstance(decision, Halt):
                return decision
            elif (rewound := await self._disproof(partition, decision)) is not None:
                return rewound
            else:
                return await self._resume(partition, decision)

    async def _gather(self, partition: Partition) -> Situation:
        siblings = await self._source.partitions_of(partition.topic)
        commits = await self._source.committed(siblings)
        positions = await self._publisher.insist(lambda: self._sink.positions((partition,)))
        # An old owner may still advance: asked for last, the log's end lies behind all that was applied;
        # asked for first, the commit lies before it.
        bounds = await self._source.bounds(partition)
        return Situation(
            partition=partition,
            committed=commits.get(partition),
            siblings=[commit for sibling, commit in commits.items() if sibling != partition],
            partitions=len(siblings),
            log_start=bounds.start,
            log_end=bounds.end,
            shards=None if positions is None else positions[partition],
        )

    async def _initialise(self, partition: Partition, decision: Initialise) -> None:
        if decision.declared:
            log.error(decision.declared, extra={"topic": partition.topic, "partition": partition.number})
        lowest = None
        for shard, mark in decision.marks.items():
            (answer,) = await self._insist_on_mark(shard, mark)
            if isinstance(answer, Applied):
                lowest = answer.watermark if lowest is None else min(lowest, answer.watermark)
        if lowest is not None:
            await self._source.commit({partition: Commit(lowest + 1, decision.stamp.encode())})

    async def _disproof(self, partition: Partition, decision: Resume) -> Halt | None:
        """Whether the log has other records at the watermarks than those that were applied."""
        for offset, timestamp in decision.proofs.items():
            found = await self._timestamp_at(partition, offset)
            if found is not None and found != timestamp:
                return Halt(
                    HaltReason.SOURCE_REWOUND,
                    f"the record at {partition} {offset} has the timestamp {found}, that which was applied "
                    f"had {timestamp}: the topic was recreated",
                )
        return None

    async def _timestamp_at(self, partition: Partition, offset: int) -> int | None:
        """What cannot be read any more proves nothing; it was applied, so that nobody needs it either."""
        try:
            return await self._source.timestamp_at(partition, offset)
        except PartitionPoisoned as error:
            log.warning("%s: it was applied before", error)
            return None

    async def _resume(self, partition: Partition, decision: Resume) -> OpenPartition:
        self._declare(partition, decision)
        ledger = decision.ledger(partition)
        for shard, mark in decision.rotations.items():
            (answer,) = await self._insist_on_mark(shard, mark)
            ledger.checkpointed(ledger.run, shard, answer)
        ledger.pass_over(decision.retention_lost)
        self._source.seek(partition, ledger.position)
        return OpenPartition(ledger, decision.stamp)

    def _declare(self, partition: Partition, decision: Resume) -> None:
        where: Mapping[str, object] = {"topic": partition.topic, "partition": partition.number}
        if decision.dropped:
            self._telemetry.dropped("policy", len(decision.dropped))
            log.error(
                "dropped by policy, at most: offsets %d to %d",
                decision.dropped[0],
                decision.dropped[-1],
                extra={**where, "offset": decision.dropped[0]},
            )
        if decision.retention_lost:
            self._telemetry.dropped("retention", len(decision.retention_lost))
            log.error(
                "lost by retention before they were applied: offsets %d to %d",
                decision.retention_lost[0],
                decision.retention_lost[-1],
                extra={**where, "offset": decision.retention_lost[0]},
            )
        for shard, mark in decision.rotations.items():
            log.warning(
                "shard %d was rolled back to offset %d, %s was committed",
                shard,
                mark.upto,
                mark.previous,
                extra=where,
            )

    async def _insist_on_mark(self, shard: int, mark: Mark) -> Sequence[Answer]:
        return await self._publisher.insist(lambda: self._sink.apply(Batch(shard, (mark,))))
