"""The delivery protocol, explored: whatever happens, each accepted record is there once and in order.

And the check on the check: with one rule of the protocol taken away, the exploration finds a history
that breaks the promise (DELIVERY.md 2).
"""

from collections import deque
from collections.abc import Callable, Sequence

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from eventbridge.adapters.memory.shard import MemoryShard, Watermark
from eventbridge.domain import assignment
from eventbridge.domain.assignment import AssignmentPolicy, Plan, Resume, Situation
from eventbridge.domain.delivery import Answer, Batch, Gap
from eventbridge.domain.partition_ledger import PartitionLedger, Rewind

from . import delivery_world
from .delivery_world import World

STEPS: Sequence[Callable[[World, int, int], None]] = (
    *[World.append] * 2,
    *[World.assign] * 2,
    World.revoke,
    World.crash,
    *[World.progress] * 5,
    *[World.poll] * 3,
    *[World.decode] * 2,
    *[World.send] * 3,
    *[World.checkpoint] * 3,
    *[World.deliver] * 4,
    *[World.reply] * 4,
    World.lose_call,
    *[World.commit] * 2,
    *[World.roll_back] * 3,
)

HEALTH_CHECKS = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)
"""Histories are long on purpose."""

HISTORIES = st.lists(
    st.tuples(st.sampled_from(STEPS), st.integers(0, 11), st.integers(0, 11)), min_size=20, max_size=80
)


def play(history: Sequence[tuple[Callable[[World, int, int], None], int, int]], world: World) -> None:
    """Start from two bridges that read one partition each, play the history, and look at the end."""
    for partition in (0, 1):
        world.append(partition, 2 + partition)
        world.assign(partition, 1)
    for step, a, b in history:
        step(world, a, b)
    world.quiesce(anew=len(history) % 2 == 0)
    assert world.found() == world.expected()


@settings(max_examples=500, deadline=None, suppress_health_check=HEALTH_CHECKS)
@given(HISTORIES)
def test_every_accepted_record_is_applied_once_and_in_order(
    history: list[tuple[Callable[[World, int, int], None], int, int]],
) -> None:
    play(history, World())


class WithoutPreviousCheck(MemoryShard):
    """Takes any batch, wherever the watermark is."""

    def apply(self, batch: Batch, spare_epoch: str) -> tuple[Answer, ...]:
        marks = tuple(
            mark if mark.previous is None else type(mark)(mark.partition, -1, mark.upto, mark.timestamp)
            for mark in batch.marks
        )
        return super().apply(Batch(batch.shard, marks, batch.entries), spare_epoch)


class SetsWatermark(MemoryShard):
    """Sets the watermark to what the call says, be it lower."""

    def apply(self, batch: Batch, spare_epoch: str) -> tuple[Answer, ...]:
        answers = super().apply(batch, spare_epoch)
        for mark, answer in zip(batch.marks, answers, strict=True):
            if mark.previous is not None and not isinstance(answer, Gap):
                self._watermarks[mark.partition] = Watermark(mark.upto, mark.timestamp)
        return answers


def resumes_from_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads on where Kafka's commit says, not where the watermarks do."""
    decide = assignment.plan

    def plan(facts: Situation, policy: AssignmentPolicy) -> Plan:
        decision = decide(facts, policy)
        if isinstance(decision, Resume) and facts.committed is not None:
            return msgspec.structs.replace(decision, position=facts.committed.offset, rotations={})
        return decision

    monkeypatch.setattr(delivery_world, "plan", plan)


def seeks_forward_on_a_second_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Goes on after the watermark that was answered, not after the lowest."""
    take = PartitionLedger._take

    def take_forward(self: PartitionLedger, shard: int, answer: Answer) -> object:
        consequence = take(self, shard, answer)
        if isinstance(consequence, Rewind) and isinstance(answer, Gap):
            self.position = answer.watermark + 1
            return Rewind(self.position, range(0))
        return consequence

    monkeypatch.setattr(PartitionLedger, "_take", take_forward)


def keeps_prefetched_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Applies what was read before the gap was noticed."""

    def restart(self: PartitionLedger) -> Rewind:
        kept = deque(span for span in self._pending)
        self._pending = kept
        return Rewind(self.position, range(0))

    monkeypatch.setattr(PartitionLedger, "restart", restart)


@pytest.mark.parametrize(
    ("shard_type", "mutate"),
    [
        pytest.param(WithoutPreviousCheck, None, id="no-previous-check"),
        pytest.param(SetsWatermark, None, id="watermark-set-instead-of-raised"),
        pytest.param(MemoryShard, resumes_from_commit, id="resume-from-the-commit"),
        pytest.param(MemoryShard, seeks_forward_on_a_second_gap, id="seek-forward-on-a-second-gap"),
        pytest.param(MemoryShard, keeps_prefetched_batches, id="prefetched-batches-kept-over-a-gap"),
    ],
)
def test_the_model_catches_a_protocol_without_one_of_its_rules(
    shard_type: type[MemoryShard],
    mutate: Callable[[pytest.MonkeyPatch], None] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if mutate is not None:
        mutate(monkeypatch)

    @settings(
        max_examples=3000,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=HEALTH_CHECKS,
    )
    @given(HISTORIES)
    def explore(history: list[tuple[Callable[[World, int, int], None], int, int]]) -> None:
        play(history, World(shard_type))

    with pytest.raises(AssertionError):
        explore()
