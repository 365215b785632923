"""One partition's ledger, case by case; what happens in any order is explored in `test_delivery_model`."""

from msgspec.structs import replace

from eventbridge.domain.delivery import (
    MAX_BATCH_BYTES,
    MAX_BATCH_ENTRIES,
    Applied,
    Bad,
    Entry,
    Gap,
    Lost,
    Mark,
    Partition,
    ShardPosition,
)
from eventbridge.domain.partition_ledger import PartitionLedger, Refused, Rewind, StateLost, chunks
from eventbridge.domain.routing import user

P = Partition("t", 0)
USER = user("3f2b8a52-6a3e-4d0f-9a10-0d7a1f6f1c01")


def ledger(*watermarks: int, dropped_to: int = -1) -> PartitionLedger:
    shards = [ShardPosition(watermark, None, "first") for watermark in watermarks]
    return PartitionLedger(P, min(watermarks) + 1, shards, dropped_to)


def entry(offset: int, size: int = 2) -> Entry:
    return Entry(offset, USER, "E", b"x" * size, 1000 + offset)


def test_a_call_says_what_it_expects_and_reaches_to_the_end_of_what_was_read() -> None:
    book = ledger(-1, -1)
    span = book.polled(0, 5, (4, 1004))
    assert span is not None
    book.routed(span, {1: [entry(1), entry(3)]})

    batch = book.next_batch(span, 1)

    assert batch is not None
    (mark,) = batch.marks
    assert (mark.previous, mark.upto, mark.timestamp, mark.epoch) == (-1, 4, 1004, "first")


def test_many_entries_are_chained_and_only_the_last_call_reaches_the_end() -> None:
    book = ledger(-1)
    span = book.polled(0, 1200, (1199, 7))
    assert span is not None
    book.routed(span, {0: [entry(n) for n in range(1100)]})

    uptos = []
    while (batch := book.next_batch(span, 0)) is not None:
        (mark,) = batch.marks
        uptos.append((mark.previous, mark.upto))
        book.answered(span, batch, Applied(len(batch.entries), mark.upto, "first"))

    assert uptos == [(-1, 499), (499, 999), (999, 1199)]
    assert book.applied_upto == 1199


def test_calls_are_bounded_in_bytes_but_for_a_single_entry() -> None:
    large = [entry(n, MAX_BATCH_BYTES // 2) for n in range(3)]
    giant = entry(3, 2 * MAX_BATCH_BYTES)

    assert [len(chunk) for chunk in chunks([*large, giant, entry(4)])] == [2, 1, 1, 1]
    assert [len(chunk) for chunk in chunks([entry(n) for n in range(MAX_BATCH_ENTRIES + 1)])] == [500, 1]


def test_a_quiet_shard_counts_as_applied_up_to_the_position_a_pending_one_does_not() -> None:
    book = ledger(-1, -1)
    span = book.polled(0, 5, (4, 1004))
    assert span is not None
    undecoded = [book.checkpoint(shard).upto for shard in (0, 1)]

    book.routed(span, {1: [entry(2)]})

    assert undecoded == [-1, -1]
    assert [book.checkpoint(shard).upto for shard in (0, 1)] == [4, -1]


def test_an_unknown_timestamp_is_no_proof_of_the_log() -> None:
    book = ledger(-1)
    span = book.polled(0, 5, (4, -1))
    assert span is not None
    book.routed(span, {})

    assert book.checkpoint(0).timestamp is None


def proved(mark: Mark) -> tuple[int, int | None, int | None]:
    return mark.upto, mark.timestamp, mark.proof


def test_a_watermark_without_a_record_is_proved_by_the_last_record_below() -> None:
    book = ledger(-1, -1)
    span = book.polled(0, 9, (4, 1004))
    assert span is not None
    book.routed(span, {1: [entry(3)]})

    batch = book.next_batch(span, 1)

    assert batch is not None
    assert [proved(mark) for mark in (*batch.marks, book.checkpoint(0))] == [(8, 1004, 4)] * 2


def test_the_last_record_stays_the_proof_over_polls_without_records_or_timestamps() -> None:
    book = ledger(-1, -1)
    for upto, last in ((4, (4, 1004)), (8, None), (12, (11, -1))):
        span = book.polled(0, upto + 1, last)
        assert span is not None
        book.routed(span, {1: [entry(3)]} if last == (11, -1) else {})

    assert [proved(book.checkpoint(shard)) for shard in (0, 1)] == [(12, 1004, 4), (8, 1004, 4)]


def test_a_call_in_the_middle_is_proved_by_its_last_entry_or_by_what_lies_before() -> None:
    book = ledger(-1)
    first = book.polled(0, 5, (4, 1004))
    assert first is not None
    book.routed(first, {})
    span = book.polled(0, 1700, (1699, 7))
    assert span is not None
    unknown = [replace(entry(n), timestamp=-1) for n in range(505, 1005)]
    book.routed(span, {0: [*(entry(n) for n in range(5, 505)), *unknown, entry(1005)]})

    marks: list[tuple[int, int | None, int | None]] = []
    while (batch := book.next_batch(span, 0)) is not None:
        marks += map(proved, batch.marks)
        book.answered(span, batch, Applied(len(batch.entries), batch.marks[0].upto, "first"))

    assert marks == [(504, 1504, None), (1004, 1004, 4), (1699, 7, None)]


def test_what_the_shards_remember_proves_a_run_that_has_read_no_record_yet() -> None:
    shards = [
        ShardPosition(9, 1007, "first", 7),
        ShardPosition(20, 1020, "first"),
        ShardPosition(9, 5, None, 5),
    ]
    book = PartitionLedger(P, 10, shards)
    span = book.polled(0, 30, None)
    assert span is not None
    book.routed(span, {})

    assert [proved(book.checkpoint(shard)) for shard in (0, 1, 2)] == [(29, 1007, 7)] * 3


def test_a_record_that_is_to_be_read_again_proves_nothing_until_then() -> None:
    book = ledger(9)
    book.polled(0, 20, (17, 1017))

    book.checkpointed(book.run, 0, Gap(17, "second"))
    still = book.checkpoint(0)
    book.checkpointed(book.run, 0, Gap(16, "third"))

    assert [proved(mark) for mark in (still, book.checkpoint(0))] == [(17, 1017, None), (16, None, None)]


def test_a_gap_voids_what_was_read_and_goes_back_to_the_lowest() -> None:
    book = ledger(9, 9)
    first, second = book.polled(0, 20, None), book.polled(0, 30, None)
    assert first is not None
    assert second is not None
    book.routed(first, {0: [entry(12)]})
    batch = book.next_batch(first, 0)
    assert batch is not None

    consequence = book.answered(first, batch, Gap(4, "second"))
    late = book.answered(first, batch, Applied(1, 19, "first"))
    book.routed(second, {0: [entry(25)]})

    assert consequence == Rewind(5, range(5, 5))
    assert late is None
    assert (book.previous, book.position, book.epochs) == ([4, 9], 5, ["second", "first"])
    assert book.next_batch(second, 0) is None
    assert book.polled(0, 40, None) is None


def test_an_epoch_that_came_back_is_asked_to_change_once_more() -> None:
    book = ledger(9)
    book.checkpointed(book.run, 0, Gap(5, "second"))

    book.checkpointed(book.run, 0, Gap(3, "first"))
    again = book.checkpoint(0)
    book.checkpointed(book.run, 0, Gap(3, "third"))

    assert (again.previous, again.epoch) == (5, "first")
    assert (book.previous, book.epochs, book.position) == ([3], ["third"], 4)


def test_an_epoch_that_another_partition_had_changed_is_known_too_when_it_comes_back() -> None:
    book = ledger(9)
    book.checkpointed(book.run, 0, Applied(0, 9, "second"))

    book.checkpointed(book.run, 0, Gap(3, "first"))
    again = book.checkpoint(0)
    book.checkpointed(book.run, 0, Gap(3, "third"))

    assert (again.previous, again.epoch) == (9, "first")
    assert (book.previous, book.epochs, book.position) == ([3], ["third"], 4)


def test_what_the_log_no_longer_has_is_not_read_and_only_that() -> None:
    positions = []
    for lost in (range(10, 20), range(15, 20), range(0, 5)):
        book = ledger(9)
        book.pass_over(lost)
        positions.append(book.position)

    assert positions == [20, 10, 10]


def test_nothing_dropped_is_read_again_and_what_a_rollback_widened_is_told() -> None:
    book = ledger(9)
    book.polled(0, 20, None)
    passed = book.drop()

    consequence = book.checkpointed(book.run, 0, Gap(4, "second"))

    assert passed == range(10, 20)
    assert consequence == Rewind(20, range(5, 20))
    assert book.checkpoint(0).upto == 19


def test_a_refused_entry_is_left_out_of_the_next_call() -> None:
    book = ledger(-1)
    span = book.polled(0, 5, (4, 1004))
    assert span is not None
    book.routed(span, {0: [entry(1), entry(2)]})
    batch = book.next_batch(span, 0)
    assert batch is not None

    consequence = book.answered(span, batch, Bad((1,)))
    book.discard(span, 0, (1,))
    again = book.next_batch(span, 0)

    assert consequence == Refused((1,))
    assert again is not None
    assert [one.offset for one in again.entries] == [2]
    assert again.marks[0].upto == 4


def test_a_forgotten_partition_is_decided_anew() -> None:
    book = ledger(9)

    assert book.checkpointed(book.run, 0, Lost()) == StateLost(0)
