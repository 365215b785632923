"""The in-memory shard: streams, snapshots, and the same answers as the model of the script."""

import copy

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from eventbridge.adapters.memory import EMPTY, MemoryShard
from eventbridge.domain.delivery import Applied, Batch, Entry, Lost, Mark, Partition
from eventbridge.domain.routing import Target, user
from tests.unit.domain.shard_model import ShardModel

ORDERS = Partition("orders", 0)
PAYMENTS = Partition("payments", 0)
ALICE, BOB = user("alice"), user("bob")


def entry(offset: int, target: Target = ALICE) -> Entry:
    return Entry(offset=offset, target=target, event="e", data=b"%d" % offset, timestamp=offset)


def begun() -> MemoryShard:
    shard = MemoryShard()
    shard.apply(Batch(shard=0, marks=(Mark(ORDERS, None, -1),)), "first")
    return shard


def test_each_entry_names_the_one_before_it() -> None:
    shard = begun()

    shard.apply(Batch(0, (Mark(ORDERS, -1, 2),), (entry(0), entry(1, BOB), entry(2))), "spare")

    first, second = shard.stream(ALICE)
    (only,) = shard.stream(BOB)
    assert (first.prev, only.prev) == ("0-0", "0-0")
    assert second.prev == first.id
    assert (second.source, second.timestamp, second.data) == ((ORDERS, 2), 2, b"2")


def test_ids_follow_the_clock_and_rise_where_it_stands_or_jumps_back() -> None:
    shard = begun()

    ids = []
    for clock_ms in (500, 500, 300, 900):
        shard.clock_ms = clock_ms
        ids.append(shard.append(ALICE, "e", b"", "spare"))

    assert [each.partition("-")[0] for each in ids] == ["500", "500", "500", "900"]
    assert ids == sorted(ids, key=lambda each: tuple(map(int, each.split("-"))))


def test_an_id_that_a_rollback_took_is_not_given_again() -> None:
    shard = begun()
    before = shard.snapshot()

    first = shard.append(ALICE, "e", b"", "spare")
    shard.restore(before)
    second = shard.append(ALICE, "e", b"", "spare")

    assert first != second


def test_a_restored_shard_is_what_it_was_and_the_snapshot_stays_so() -> None:
    shard = begun()
    shard.apply(Batch(0, (Mark(ORDERS, -1, 0),), (entry(0),)), "spare")
    before = shard.snapshot()
    shard.apply(Batch(0, (Mark(ORDERS, 0, 1),), (entry(1),)), "spare")
    shard.occupy(BOB)

    shard.restore(before)
    shard.apply(Batch(0, (Mark(ORDERS, 0, 5),), (entry(5),)), "spare")
    shard.restore(before)

    assert shard.snapshot() == before
    assert [each.data for each in shard.stream(ALICE)] == [b"0"]


def test_a_deep_copy_goes_its_own_way() -> None:
    shard = begun()
    shard.apply(Batch(0, (Mark(ORDERS, -1, 0),), (entry(0),)), "spare")

    other = copy.deepcopy(shard)
    other.apply(Batch(0, (Mark(ORDERS, 0, 1),), (entry(1),)), "spare")

    assert len(shard.stream(ALICE)) == 1
    assert len(other.stream(ALICE)) == 2


def test_an_emptied_shard_has_lost_its_partitions() -> None:
    shard = begun()

    shard.restore(EMPTY)

    assert shard.apply(Batch(0, (Mark(ORDERS, -1, 0),), (entry(0),)), "spare") == (Lost(),)
    assert shard.epoch is None


def test_an_epoch_that_was_never_given_comes_with_the_first_write() -> None:
    shard = MemoryShard(clock_ms=7)

    shard.append(ALICE, "e", b"", "fresh")

    assert (shard.epoch, shard.since) == ("fresh", 7)


OFFSETS = st.integers(-1, 12)
PARTITIONS = st.sampled_from([ORDERS, PAYMENTS])
EPOCHS = st.sampled_from([None, "0", "1", "2", "3"])
MARKS = st.builds(
    Mark, PARTITIONS, st.none() | OFFSETS, OFFSETS, st.none() | OFFSETS, EPOCHS, st.none() | OFFSETS
).map(lambda mark: mark if mark.timestamp is not None else replace(mark, proof=None))
CHECKPOINTS = st.builds(lambda marks: Batch(0, tuple(marks)), st.lists(MARKS, min_size=1, max_size=4))
ENTRIES = st.lists(st.builds(entry, st.integers(0, 12), st.sampled_from([ALICE, BOB])), max_size=4)
APPENDING = st.builds(
    lambda mark, entries: Batch(0, (mark,), sorted(entries, key=lambda each: each.offset)),
    MARKS.filter(lambda mark: mark.previous is not None),
    ENTRIES,
)


@given(st.lists(CHECKPOINTS | APPENDING, max_size=12), st.booleans())
def test_gives_the_answers_of_the_model(batches: list[Batch], bob_is_occupied: bool) -> None:
    shard, model = MemoryShard(), ShardModel(wrong_types=[BOB] if bob_is_occupied else [])
    if bob_is_occupied:
        shard.occupy(BOB)

    answers = [
        (shard.apply(batch, str(n)), tuple(model.apply(batch, str(n)))) for n, batch in enumerate(batches)
    ]

    assert [ours for ours, _ in answers] == [modelled for _, modelled in answers]
    assert {target: [each.data for each in entries] for target, entries in shard.streams()} == {
        target: [each.entry.data for each in entries] for target, entries in model.streams.items()
    }
    for partition in (ORDERS, PAYMENTS):
        known = shard.position(partition)
        assert (known.watermark, (known.timestamp, known.proof), known.epoch) == (
            model.watermark(partition),
            model.timestamp(partition),
            model.epoch,
        )


def test_applied_answers_carry_the_watermark_that_holds() -> None:
    shard = begun()

    (answer,) = shard.apply(Batch(0, (Mark(ORDERS, -1, 9),), (entry(3),)), "spare")

    assert answer == Applied(appended=1, watermark=9, epoch="first")
