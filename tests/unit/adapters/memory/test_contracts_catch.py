"""A contract suite is worth what it catches: each broken adapter here fails the tests that are about it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from eventbridge.adapters.memory import MemoryDeadLetters, MemoryEventSink, MemoryEventSource, MemoryLog
from eventbridge.application.ports import AssignmentListener, Commit, DeadLetter, Polled
from eventbridge.domain.delivery import Answer, Applied, Bad, Batch, Gap, Lost, Mark, Partition
from eventbridge.domain.message import SSEMessage
from eventbridge.testing import DeadLettersContract, EventSinkContract, EventSourceContract
from eventbridge.testing.dead_letters_contract import letter
from tests.unit.adapters.memory.under_test import (
    MemoryDeadLettersUnderTest,
    MemoryLogUnderTest,
    MemorySinkUnderTest,
)


async def failures(suite: Any, under_test: Any, *tests: str) -> set[str]:
    """Which of the suite's tests fail, each with an adapter of its own."""
    failed = set()
    for test in tests:
        try:
            await getattr(suite, f"test_{test}")(under_test())
        except (AssertionError, LookupError, TimeoutError, pytest.fail.Exception):
            failed.add(test)
    return failed


class AppendsTwice(MemoryEventSink):
    """A repeat is appended again, as a plain XADD would."""

    async def apply(self, batch: Batch) -> Sequence[Answer]:
        answers = await super().apply(batch)
        if batch.entries and isinstance(answers[0], Applied) and not answers[0].appended:
            for each in batch.entries:
                await self.publish_event(each.target.id, SSEMessage(event=each.event, data=each.data))
        return answers


class SetsTheWatermark(MemoryEventSink):
    """The watermark becomes `upto`, also where that is lower."""

    async def apply(self, batch: Batch) -> Sequence[Answer]:
        answers = await super().apply(batch)
        for mark in batch.marks:
            state = self.snapshot(batch.shard)
            known = state.watermarks.get(mark.partition)
            if mark.previous is not None and known is not None and known.offset > mark.upto:
                lower = {**state.watermarks, mark.partition: known._replace(offset=mark.upto)}
                self.restore(batch.shard, msgspec.structs.replace(state, watermarks=lower))
        return answers


class ExpectsNothing(MemoryEventSink):
    """The watermark found is not compared with the one expected."""

    async def apply(self, batch: Batch) -> Sequence[Answer]:
        careless = [
            mark if mark.previous is None else msgspec.structs.replace(mark, previous=-1)
            for mark in batch.marks
        ]
        return await super().apply(msgspec.structs.replace(batch, marks=tuple(careless)))


class KeepsTheEpoch(MemoryEventSink):
    """A rollback is noticed, but nobody who reads the streams can see it."""

    async def apply(self, batch: Batch) -> Sequence[Answer]:
        epoch = self.snapshot(batch.shard).epoch
        answers = await super().apply(batch)
        if epoch is None:
            return answers
        self.restore(batch.shard, msgspec.structs.replace(self.snapshot(batch.shard), epoch=epoch))
        return [
            msgspec.structs.replace(each, epoch=epoch) if isinstance(each, Applied | Gap) else each
            for each in answers
        ]


class ChangesTheEpochAlways(MemoryEventSink):
    """The epoch changes at each gap and initialisation, whichever was seen."""

    async def apply(self, batch: Batch) -> Sequence[Answer]:
        epoch = self.snapshot(batch.shard).epoch
        marks = tuple(msgspec.structs.replace(mark, epoch=epoch) for mark in batch.marks)
        return await super().apply(msgspec.structs.replace(batch, marks=marks))


class InitialisesByItself(MemoryEventSink):
    """Where the watermark is missing, one is made: lost state goes unnoticed."""

    async def apply(self, batch: Batch) -> Sequence[Answer]:
        answers = await super().apply(batch)
        for mark, answer in zip(batch.marks, answers, strict=True):
            if isinstance(answer, Lost):
                await super().apply(
                    Batch(shard=batch.shard, marks=(Mark(mark.partition, None, mark.previous or 0),))
                )
        return await super().apply(batch)


class InitialisesAnew(MemoryEventSink):
    """An initialisation replaces the watermark that is there."""

    async def apply(self, batch: Batch) -> Sequence[Answer]:
        state = self.snapshot(batch.shard)
        anew = {mark.partition for mark in batch.marks if mark.previous is None}
        kept = {partition: mark for partition, mark in state.watermarks.items() if partition not in anew}
        self.restore(batch.shard, msgspec.structs.replace(state, watermarks=kept))
        return await super().apply(batch)


class AppliesHalf(MemoryEventSink):
    """What is good in a batch with bad entries is written at once."""

    async def apply(self, batch: Batch) -> Sequence[Answer]:
        answers = await super().apply(batch)
        if isinstance(bad := answers[0], Bad):
            good = tuple(each for each in batch.entries if each.offset not in bad.offsets)
            await super().apply(msgspec.structs.replace(batch, entries=good))
        return answers


class MovesOneMark(MemoryEventSink):
    """Of a checkpoint's marks only the first is moved."""

    async def apply(self, batch: Batch) -> Sequence[Answer]:
        answers = await super().apply(msgspec.structs.replace(batch, marks=batch.marks[:1]))
        return [*answers, *(Applied(0, mark.upto, "") for mark in batch.marks[1:])]


class AnswersTheCallBefore(MemoryEventSink):
    """After a cancelled call the connection still holds its reply, which the next call takes for its own."""

    def __init__(self) -> None:
        super().__init__()
        self._unread: list[Sequence[Answer]] = []

    async def apply(self, batch: Batch) -> Sequence[Answer]:
        self._unread.append(await super().apply(batch))
        await asyncio.sleep(0)
        return self._unread.pop(0)


@pytest.mark.parametrize(
    ("broken", "about_it"),
    [
        (AppendsTwice, "a_repeated_batch_appends_nothing"),
        (AppendsTwice, "a_call_cancelled_while_it_waits_can_be_made_again"),
        (SetsTheWatermark, "a_lower_upto_never_lowers_the_watermark"),
        (ExpectsNothing, "answers_gap_where_the_watermark_is_too_low_and_writes_only_a_new_epoch"),
        (KeepsTheEpoch, "answers_gap_where_the_watermark_is_too_low_and_writes_only_a_new_epoch"),
        (KeepsTheEpoch, "initialising_a_watermark_that_was_lost_changes_the_epoch_that_was_seen"),
        (ChangesTheEpochAlways, "one_rollback_changes_the_epoch_once"),
        (ChangesTheEpochAlways, "a_further_partition_leaves_the_epoch_alone"),
        (InitialisesByItself, "answers_lost_where_the_watermark_is_missing_and_writes_nothing"),
        (InitialisesAnew, "an_initialisation_twice_keeps_the_first"),
        (AppliesHalf, "answers_bad_with_the_offsets_that_cannot_be_appended_and_writes_nothing"),
        (MovesOneMark, "a_checkpoint_moves_watermarks_without_entries"),
        (MovesOneMark, "a_checkpoint_answers_for_each_mark_by_itself"),
        (AnswersTheCallBefore, "a_call_cancelled_while_it_waits_can_be_made_again"),
    ],
)
async def test_the_suite_catches_a_sink_that(broken: type[MemoryEventSink], about_it: str) -> None:
    suite = EventSinkContract()

    failed = await failures(suite, lambda: MemorySinkUnderTest(broken()), about_it)

    assert failed == {about_it}
    assert await failures(suite, MemorySinkUnderTest, about_it) == set()


class KeepsWhatItPrefetched(MemoryEventSource):
    """The first poll takes everything; a seek does not touch what was taken."""

    def __init__(self, log: MemoryLog, topics: Sequence[str]) -> None:
        super().__init__(log, topics)
        self._taken: dict[Partition, Polled] = {}

    async def poll(self, partition: Partition, max_records: int, wait_seconds: float) -> Polled:
        taken = self._taken.pop(partition, None)
        if taken is None or not taken.records:
            taken = await super().poll(partition, 1000, wait_seconds)
        now, later = taken.records[:max_records], taken.records[max_records:]
        self._taken[partition] = Polled(records=later, next_offset=taken.next_offset)
        return Polled(records=now, next_offset=now[-1].offset + 1 if later else taken.next_offset)


class CountsRecords(MemoryEventSource):
    """`next_offset` is the last record's + 1, whatever lies behind it."""

    async def poll(self, partition: Partition, max_records: int, wait_seconds: float) -> Polled:
        polled = await super().poll(partition, max_records, wait_seconds)
        start = polled.records[-1].offset + 1 if polled.records else 0
        return Polled(records=polled.records, next_offset=start)


class NeverPauses(MemoryEventSource):
    """A pause is taken note of, nothing more."""

    def pause(self, partitions: Sequence[Partition]) -> None:
        pass


class ForgetsTheMetadata(MemoryEventSource):
    """Commits the offset alone."""

    async def commit(self, commits: Mapping[Partition, Commit]) -> None:
        await super().commit({partition: Commit(kept.offset, "") for partition, kept in commits.items()})


class SharesNothing(MemoryEventSource):
    """Each member reads everything, as if it were alone."""

    async def assign(self, partitions: Sequence[Partition]) -> None:
        await super().assign(await self.partitions_of(self.topics[0]))


class RevokesFirst(MemoryEventSource):
    """The listener hears of a revocation when the partitions are gone."""

    async def revoke(self) -> None:
        listener, gone = self._listener, tuple(self._readings)
        self._listener = None
        self._readings.clear()
        if listener is not None and gone:
            await listener.revoked(gone)
        self._listener = listener


class StaysInTheGroup(MemoryEventSource):
    """A cancelled stop has left nothing, and the next one believes it had."""

    _stopped = False

    async def stop(self) -> None:
        if self._stopped:
            return
        self._stopped = True
        await asyncio.sleep(0)
        await super().stop()


class StaysWhenStartFails(MemoryEventSource):
    """A member that did not hear the end of its start does not know that it has to leave."""

    _started = False

    async def start(self, listener: AssignmentListener) -> None:
        await super().start(listener)
        await asyncio.sleep(0)
        self._started = True

    async def stop(self) -> None:
        if self._started:
            await super().stop()


class Hangs(MemoryEventSource):
    """Its second stop waits for something that the first one took away."""

    _stopped = False

    async def stop(self) -> None:
        await super().stop()
        if self._stopped:
            await asyncio.Event().wait()
        self._stopped = True


@pytest.mark.parametrize(
    ("broken", "about_it"),
    [
        (KeepsWhatItPrefetched, "a_seek_forgets_what_was_prefetched"),
        (KeepsWhatItPrefetched, "reads_nothing_of_a_paused_partition_and_the_others_on"),
        (CountsRecords, "next_offset_leads_over_gaps"),
        (NeverPauses, "reads_nothing_of_a_paused_partition_and_the_others_on"),
        (NeverPauses, "a_pause_ends_a_waiting_poll_with_nothing"),
        (ForgetsTheMetadata, "keeps_commits_with_their_metadata"),
        (SharesNothing, "two_members_share_the_partitions_and_see_all_commits"),
        (RevokesFirst, "a_partition_may_be_committed_until_its_revocation_returns"),
        (StaysInTheGroup, "a_stop_cancelled_while_it_waits_can_be_made_again"),
        (StaysWhenStartFails, "a_start_cancelled_while_it_waits_leaves_nothing_behind"),
        (Hangs, "can_be_stopped_twice"),
    ],
)
async def test_the_suite_catches_a_source_that(
    broken: type[MemoryEventSource], about_it: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("listener", "log_under_test", "source_reading", "source_groups"):
        monkeypatch.setattr(f"eventbridge.testing.{module}.PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(EventSourceContract, "stop_seconds", 0.3)
    suite = EventSourceContract()

    failed = await failures(suite, lambda: MemoryLogUnderTest(broken), about_it)

    assert failed == {about_it}
    assert await failures(suite, MemoryLogUnderTest, about_it) == set()


class KeepsTheFirst(MemoryDeadLetters):
    """Of several letters one is kept."""

    async def keep(self, letters: Sequence[DeadLetter]) -> None:
        await super().keep(letters[:1])


class DropsHeaders(MemoryDeadLetters):
    """The record's headers make way for our own."""

    async def keep(self, letters: Sequence[DeadLetter]) -> None:
        bare = [
            msgspec.structs.replace(each, record=msgspec.structs.replace(each.record, headers=()))
            for each in letters
        ]
        await super().keep(bare)


class KeepsLater(MemoryDeadLetters):
    """Returns before the letters are stored, and a cancelled call was never heard of."""

    async def keep(self, letters: Sequence[DeadLetter]) -> None:
        asyncio.get_running_loop().call_later(5, self.kept.extend, letters)


@pytest.mark.parametrize("broken", [KeepsTheFirst, DropsHeaders, KeepsLater])
async def test_the_suite_catches_dead_letters_that(broken: type[MemoryDeadLetters]) -> None:
    suite = DeadLettersContract()
    about_it = "keeps_letters_whole_and_in_order"

    failed = await failures(suite, lambda: MemoryDeadLettersUnderTest(broken()), about_it)

    assert failed == {about_it}
    assert letter(1) != letter(2)
