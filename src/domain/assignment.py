"""Where a partition's run begins: decided from the source's commit, the sink's watermarks and the log.

Pure: the application gathers the facts and carries the decision out. Source: DELIVERY.md 4, items 1, 8, 9.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from .delivery import Commit, Mark, Partition, ShardPosition
from .partition_ledger import PartitionLedger


class OnStateLost(StrEnum):
    """What follows when the sink has forgotten a partition."""

    STOP = "stop"
    COMMITTED = "committed"
    EARLIEST = "earliest"


class OnRetentionLoss(StrEnum):
    """What follows when the log no longer has what was not applied yet."""

    STOP = "stop"
    CONTINUE = "continue"


class OffsetReset(StrEnum):
    """Where a source that was never read begins."""

    EARLIEST = "earliest"
    LATEST = "latest"


class HaltReason(StrEnum):
    """Why a partition is not read; the label of `eventbridge_partitions_halted`."""

    STATE_LOST = "STATE_LOST"
    SOURCE_REWOUND = "SOURCE_REWOUND"
    RETENTION_LOSS = "RETENTION_LOSS"
    POISONED = "POISONED"
    SINK_MISCONFIGURED = "SINK_MISCONFIGURED"
    SOURCE_MISCONFIGURED = "SOURCE_MISCONFIGURED"


class AssignmentPolicy(msgspec.Struct, frozen=True):
    """The operator's choices."""

    source: str = "main"
    """Names the log: another name is another log."""
    offset_reset: OffsetReset = OffsetReset.EARLIEST
    on_state_lost: OnStateLost = OnStateLost.STOP
    on_retention_loss: OnRetentionLoss = OnRetentionLoss.STOP


class Stamp(msgspec.Struct, frozen=True, omit_defaults=True):
    """The text that goes with each of our commits: it makes a partition *initialised*.

    `partitions` is how many the topic had when its first one was initialised: those with a higher number
    were added since. `dropped_to` is the last offset that was passed by policy.
    """

    source: str
    partitions: int
    dropped_to: int = -1
    eventbridge: int = 1

    def encode(self) -> str:
        """The commit's metadata, JSON."""
        return msgspec.json.encode({**msgspec.to_builtins(self), "eventbridge": 1}, order="sorted").decode()

    @classmethod
    def of(cls, metadata: str, source: str) -> "Stamp | None":
        """Read a commit's metadata; None if it is not ours or names another source."""
        try:
            stamp = msgspec.json.decode(metadata, type=cls)
        except (ValueError, RecursionError):
            return None
        return stamp if stamp.source == source and stamp.eventbridge == 1 else None


class Situation(msgspec.Struct, frozen=True):
    """The facts about one assigned partition."""

    partition: Partition
    committed: Commit | None
    siblings: Sequence[Commit]
    """The commits of the topic's other partitions."""
    partitions: int
    """How many partitions the topic has."""
    log_start: int
    log_end: int
    shards: Sequence[ShardPosition] | None
    """What the sink knows, None from a sink without memory."""


class Initialise(msgspec.Struct, frozen=True):
    """Apply these marks; commit the lowest watermark of those that held, plus 1, with `stamp`; decide anew.

    `declared` says what was lost before, where it was.
    """

    marks: Mapping[int, Mark]
    stamp: Stamp
    declared: str | None = None


class Resume(msgspec.Struct, frozen=True):
    """Read on at `position`.

    First compare `proofs` (offset → timestamp in ms that the log must have there, if it has a record
    there): a difference is `HaltReason.SOURCE_REWOUND`. Then apply `rotations`, marks that make rolled
    back shards change their epoch.
    """

    position: int
    shards: Sequence[ShardPosition]
    stamp: Stamp
    proofs: Mapping[int, int]
    rotations: Mapping[int, Mark]
    dropped: range
    """Offsets that were passed by policy and are missing in some shard."""
    retention_lost: range
    """Offsets that the log no longer has and that were not applied in every shard."""

    def ledger(self, partition: Partition) -> PartitionLedger:
        """The run that begins here."""
        return PartitionLedger(partition, self.position, self.shards, self.stamp.dropped_to)


class Halt(msgspec.Struct, frozen=True):
    """Do not read this partition; look again later."""

    reason: HaltReason
    explanation: str


Plan = Initialise | Resume | Halt


def plan(facts: Situation, policy: AssignmentPolicy) -> Plan:
    """Decide where the partition's run begins."""
    stamp = Stamp.of(facts.committed.metadata, policy.source) if facts.committed else None
    if facts.shards is None:
        return _resume_without_memory(facts, policy, stamp)
    if facts.committed is None or stamp is None:
        return _first_start(facts, facts.shards, policy)
    if any(known.watermark is None for known in facts.shards):
        return _state_lost(facts, facts.shards, facts.committed.offset, stamp, policy)
    return _resume(facts, facts.shards, facts.committed.offset, stamp, policy)


def _new_stamp(facts: Situation, policy: AssignmentPolicy) -> Stamp:
    counts = [
        stamp.partitions for sibling in facts.siblings if (stamp := Stamp.of(sibling.metadata, policy.source))
    ]
    return Stamp(policy.source, min(counts, default=facts.partitions))


def _start_offset(facts: Situation, policy: AssignmentPolicy, stamp: Stamp) -> int:
    """Where a partition without a stamp begins: a migrating group's commit, else by policy; one that was
    added to a topic that is already read begins at its beginning."""
    if facts.committed and not _names_a_source(facts.committed.metadata):
        return min(max(facts.committed.offset, facts.log_start), facts.log_end)
    if facts.partition.number >= stamp.partitions or policy.offset_reset is OffsetReset.EARLIEST:
        return facts.log_start
    return facts.log_end


def _names_a_source(metadata: str) -> bool:
    try:
        msgspec.json.decode(metadata, type=Stamp)
    except (ValueError, RecursionError):
        return False
    return True


def _first_start(facts: Situation, shards: Sequence[ShardPosition], policy: AssignmentPolicy) -> Initialise:
    stamp = _new_stamp(facts, policy)
    upto = _start_offset(facts, policy, stamp) - 1
    marks = {shard: Mark(facts.partition, None, upto) for shard in range(len(shards))}
    return Initialise(marks, stamp)


def _state_lost(
    facts: Situation, shards: Sequence[ShardPosition], committed: int, stamp: Stamp, policy: AssignmentPolicy
) -> Initialise | Halt:
    missing = [shard for shard, known in enumerate(shards) if known.watermark is None]
    lost = (
        f"the sink has forgotten {facts.partition} in {len(missing)} of {len(shards)} shards, "
        f"although offset {committed} was committed"
    )
    if policy.on_state_lost is OnStateLost.STOP:
        return Halt(HaltReason.STATE_LOST, f"{lost}; ON_STATE_LOST decides what follows")
    upto = (committed if policy.on_state_lost is OnStateLost.COMMITTED else facts.log_start) - 1
    marks = {shard: Mark(facts.partition, None, upto, None, shards[shard].epoch) for shard in missing}
    # Now or never: with a commit that goes back, nobody could tell any more that these were rolled back.
    marks |= _rotations(facts.partition, shards, committed)
    return Initialise(marks, stamp, f"{lost}; begun again at {upto + 1} ({policy.on_state_lost})")


def _resume(
    facts: Situation, shards: Sequence[ShardPosition], committed: int, stamp: Stamp, policy: AssignmentPolicy
) -> Resume | Halt:
    watermarks = [known.watermark for known in shards if known.watermark is not None]
    lowest, highest = min(watermarks), max(watermarks)
    if highest >= facts.log_end or committed > facts.log_end:
        return Halt(
            HaltReason.SOURCE_REWOUND,
            f"{facts.partition} ends at {facts.log_end}, but offset {max(highest, committed - 1)} was "
            "applied: the topic was recreated or truncated",
        )
    position = max(lowest, stamp.dropped_to) + 1
    retention_lost = range(position, max(position, facts.log_start))
    if retention_lost and policy.on_retention_loss is OnRetentionLoss.STOP:
        return Halt(
            HaltReason.RETENTION_LOSS,
            _retention_loss(facts, position),
        )
    return Resume(
        position=max(position, facts.log_start),
        shards=shards,
        stamp=stamp,
        proofs=dict(
            known
            for shard in shards
            if shard.watermark in (lowest, highest)
            and (known := shard.known_record) is not None
            and known.offset >= facts.log_start
        ),
        rotations=_rotations(facts.partition, shards, committed),
        dropped=range(lowest + 1, position),
        retention_lost=retention_lost,
    )


def _rotations(partition: Partition, shards: Sequence[ShardPosition], committed: int) -> dict[int, Mark]:
    """By shard that was rolled back behind the commit, the mark that makes it change its epoch."""
    return {
        shard: Mark(partition, committed - 1, known.watermark, None, known.epoch)
        for shard, known in enumerate(shards)
        if known.watermark is not None and known.watermark < committed - 1
    }


def _resume_without_memory(facts: Situation, policy: AssignmentPolicy, stamp: Stamp | None) -> Resume | Halt:
    new = stamp or _new_stamp(facts, policy)
    wanted = facts.committed.offset if stamp and facts.committed else _start_offset(facts, policy, new)
    if wanted > facts.log_end:
        return Halt(
            HaltReason.SOURCE_REWOUND,
            f"{facts.partition} ends at {facts.log_end}, but {wanted} was committed",
        )
    retention_lost = range(wanted, max(wanted, facts.log_start))
    if retention_lost and policy.on_retention_loss is OnRetentionLoss.STOP:
        return Halt(
            HaltReason.RETENTION_LOSS,
            _retention_loss(facts, wanted),
        )
    position = max(wanted, facts.log_start)
    return Resume(position, (ShardPosition(position - 1, None, None),), new, {}, {}, range(0), retention_lost)


def _retention_loss(facts: Situation, position: int) -> str:
    return (
        f"{facts.partition} begins at {facts.log_start}, but offsets from {position} on were not applied; "
        "ON_RETENTION_LOSS decides what follows"
    )
