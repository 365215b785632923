"""Where a run begins, case by case (DELIVERY.md 4.1, 4.8, 4.9)."""

from collections.abc import Sequence

import pytest

from eventbridge.domain.assignment import (
    AssignmentPolicy,
    Halt,
    HaltReason,
    Initialise,
    OffsetReset,
    OnRetentionLoss,
    OnStateLost,
    Resume,
    Situation,
    Stamp,
    plan,
)
from eventbridge.domain.delivery import Commit, Partition, ShardPosition

STAMP = Stamp("main", 4).encode()
UNKNOWN = ShardPosition(None, None, None)


def known(watermark: int, timestamp: int | None = None) -> ShardPosition:
    return ShardPosition(watermark, timestamp, "first")


def situation(
    *shards: ShardPosition,
    committed: Commit | None = None,
    siblings: Sequence[Commit] = (),
    number: int = 0,
    log: tuple[int, int] = (0, 100),
    memory: bool = True,
) -> Situation:
    return Situation(
        Partition("t", number), committed, siblings, 4, log[0], log[1], shards if memory else None
    )


LATEST = AssignmentPolicy(offset_reset=OffsetReset.LATEST)


@pytest.mark.parametrize(
    ("facts", "policy", "start"),
    [
        pytest.param(situation(UNKNOWN), AssignmentPolicy(), 0, id="earliest"),
        pytest.param(situation(UNKNOWN, log=(7, 100)), AssignmentPolicy(), 7, id="earliest-kept"),
        pytest.param(situation(UNKNOWN), LATEST, 100, id="latest"),
        pytest.param(situation(UNKNOWN, committed=Commit(42, "")), LATEST, 42, id="a-group-that-migrates"),
        pytest.param(
            situation(UNKNOWN, committed=Commit(42, Stamp("other", 4).encode())),
            LATEST,
            100,
            id="another-source-counts-as-none",
        ),
        pytest.param(
            situation(UNKNOWN, siblings=[Commit(5, STAMP)], number=3), LATEST, 100, id="starting-together"
        ),
        pytest.param(
            situation(UNKNOWN, siblings=[Commit(5, Stamp("main", 3).encode())], number=3),
            LATEST,
            0,
            id="added-since",
        ),
    ],
)
def test_a_partition_that_was_never_read_is_initialised(
    facts: Situation, policy: AssignmentPolicy, start: int
) -> None:
    decision = plan(facts, policy)

    assert isinstance(decision, Initialise)
    assert [(mark.previous, mark.upto) for mark in decision.marks.values()] == [(None, start - 1)]
    assert decision.stamp.source == "main"


def test_a_run_goes_on_from_the_lowest_watermark_whatever_was_committed() -> None:
    decision = plan(situation(known(20, 7), known(15, 6), committed=Commit(19, STAMP)), AssignmentPolicy())

    assert isinstance(decision, Resume)
    assert decision.position == 16
    assert decision.proofs == {20: 7, 15: 6}
    assert {shard: (m.previous, m.epoch) for shard, m in decision.rotations.items()} == {1: (18, "first")}


def test_a_watermark_behind_the_last_record_is_proved_by_that_record_while_it_is_kept() -> None:
    shards = [
        ShardPosition(20, 7, "first", 18),
        ShardPosition(17, 6, "first", 16),
        ShardPosition(15, 5, "first", 11),
    ]
    decision = plan(situation(*shards, committed=Commit(16, STAMP), log=(12, 100)), AssignmentPolicy())

    assert isinstance(decision, Resume)
    assert decision.proofs == {18: 7}


@pytest.mark.parametrize(
    ("policy", "upto"), [(OnStateLost.COMMITTED, 18), (OnStateLost.EARLIEST, 4)], ids=str
)
def test_a_shard_that_forgot_is_begun_again_where_the_policy_says(policy: OnStateLost, upto: int) -> None:
    facts = situation(known(20), UNKNOWN, committed=Commit(19, STAMP), log=(5, 100))

    decision = plan(facts, AssignmentPolicy(on_state_lost=policy))

    assert isinstance(decision, Initialise)
    assert {shard: mark.upto for shard, mark in decision.marks.items()} == {1: upto}
    assert decision.declared is not None


def test_a_shard_rolled_back_while_another_forgot_changes_its_epoch_before_the_commit_goes_back() -> None:
    facts = situation(known(20), known(7), UNKNOWN, committed=Commit(19, STAMP), log=(5, 100))

    decision = plan(facts, AssignmentPolicy(on_state_lost=OnStateLost.EARLIEST))

    assert isinstance(decision, Initialise)
    assert {shard: (mark.previous, mark.upto, mark.epoch) for shard, mark in decision.marks.items()} == {
        1: (18, 7, "first"),
        2: (None, 4, None),
    }


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        pytest.param(
            situation(known(20), UNKNOWN, committed=Commit(19, STAMP)), HaltReason.STATE_LOST, id="forgotten"
        ),
        pytest.param(
            situation(known(99), committed=Commit(9, STAMP), log=(0, 99)),
            HaltReason.SOURCE_REWOUND,
            id="watermark-at-the-end",
        ),
        pytest.param(
            situation(known(20), committed=Commit(21, STAMP), log=(22, 99)),
            HaltReason.RETENTION_LOSS,
            id="retention",
        ),
        pytest.param(
            situation(committed=Commit(101, STAMP), memory=False), HaltReason.SOURCE_REWOUND, id="no-memory"
        ),
    ],
)
def test_what_cannot_be_made_good_halts(facts: Situation, reason: HaltReason) -> None:
    decision = plan(facts, AssignmentPolicy())

    assert isinstance(decision, Halt)
    assert decision.reason is reason


def test_retention_right_behind_the_watermark_loses_nothing() -> None:
    decision = plan(situation(known(20), committed=Commit(21, STAMP), log=(21, 21)), AssignmentPolicy())

    assert isinstance(decision, Resume)
    assert (decision.position, len(decision.retention_lost)) == (21, 0)


def test_what_retention_took_is_said_where_the_policy_goes_on() -> None:
    facts = situation(known(20), committed=Commit(21, STAMP), log=(30, 99))

    decision = plan(facts, AssignmentPolicy(on_retention_loss=OnRetentionLoss.CONTINUE))

    assert isinstance(decision, Resume)
    assert (decision.position, decision.retention_lost) == (30, range(21, 30))


def test_what_was_dropped_stays_dropped_and_is_announced() -> None:
    stamp = Stamp("main", 4, dropped_to=50).encode()

    decision = plan(situation(known(20), known(60), committed=Commit(21, stamp)), AssignmentPolicy())

    assert isinstance(decision, Resume)
    assert (decision.position, decision.dropped) == (51, range(21, 51))
    assert decision.ledger(Partition("t", 0)).checkpoint(0).upto == 50


def test_a_sink_without_memory_goes_on_from_the_commit() -> None:
    decision = plan(situation(committed=Commit(42, STAMP), memory=False), AssignmentPolicy())

    assert isinstance(decision, Resume)
    assert (decision.position, len(decision.shards)) == (42, 1)


@pytest.mark.parametrize(
    "metadata",
    ["", "{", "[]", "null", '{"source":7}', "x" * 5000, '{"source":"main","partitions":4,"eventbridge":2}'],
)
def test_metadata_that_is_not_ours_is_none(metadata: str) -> None:
    assert Stamp.of(metadata, "main") is None


def test_a_stamp_reads_back() -> None:
    stamp = Stamp("main", 4, 17)

    assert Stamp.of(stamp.encode(), "main") == stamp
