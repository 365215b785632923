"""What a sink with memory promises of the calls that it cannot carry out."""

# ruff: noqa: D102 - a test's name is its sentence

import pytest

from ..domain.delivery import Applied, Bad, Batch, Gap, Lost, Mark
from .sink_under_test import (
    NEVER_SEEN,
    ORDERS,
    PAYMENTS,
    OccupiableSink,
    begin,
    call,
    entry,
    position,
    stored,
    targets_in,
)


@pytest.mark.asyncio
class RefusalContract:
    """A part of `EventSinkContract`."""

    async def test_answers_lost_where_the_watermark_is_missing_and_writes_nothing(
        self, under_test: OccupiableSink
    ) -> None:
        sink = under_test.sink
        (target,) = targets_in(0, sink.shards)
        await begin(sink, ORDERS, 0)
        before = await position(sink, NEVER_SEEN, 0)

        answer = await call(
            sink, 0, Mark(partition=NEVER_SEEN, previous=-1, upto=0, epoch=before.epoch), entry(0, target)
        )

        assert answer == Lost()
        assert await under_test.stored(target) == []
        assert await position(sink, NEVER_SEEN, 0) == before

    async def test_answers_gap_where_the_watermark_is_too_low_and_writes_only_a_new_epoch(
        self, under_test: OccupiableSink
    ) -> None:
        sink = under_test.sink
        (target,) = targets_in(0, sink.shards)
        seen = (await begin(sink, ORDERS, 0)).epoch

        answer = await call(
            sink, 0, Mark(partition=ORDERS, previous=4, upto=5, timestamp=5, epoch=seen), entry(5, target)
        )

        assert isinstance(answer, Gap)
        assert answer.watermark == -1
        assert answer.epoch != seen
        assert await under_test.stored(target) == []
        known = await position(sink, ORDERS, 0)
        assert (known.watermark, known.timestamp, known.epoch) == (-1, None, answer.epoch)

    async def test_one_rollback_changes_the_epoch_once(self, under_test: OccupiableSink) -> None:
        sink = under_test.sink
        seen = (await begin(sink, ORDERS, 0)).epoch
        await begin(sink, PAYMENTS, 0)
        first = await call(sink, 0, Mark(partition=ORDERS, previous=4, upto=5, epoch=seen))

        late = await call(sink, 0, Mark(partition=PAYMENTS, previous=7, upto=8, epoch=seen))

        assert isinstance(first, Gap)
        assert late == Gap(watermark=-1, epoch=first.epoch)

    async def test_goes_on_from_the_watermark_that_a_gap_told(self, under_test: OccupiableSink) -> None:
        sink = under_test.sink
        (target,) = targets_in(0, sink.shards)
        seen = (await begin(sink, ORDERS, 0)).epoch
        gap = await call(sink, 0, Mark(partition=ORDERS, previous=0, upto=1, epoch=seen), entry(1, target))
        assert isinstance(gap, Gap)

        answer = await call(
            sink,
            0,
            Mark(partition=ORDERS, previous=gap.watermark, upto=1, epoch=gap.epoch),
            entry(0, target),
            entry(1, target),
        )

        assert answer == Applied(appended=2, watermark=1, epoch=gap.epoch)
        assert await under_test.stored(target) == stored([entry(0, target), entry(1, target)])

    async def test_answers_bad_with_the_offsets_that_cannot_be_appended_and_writes_nothing(
        self, under_test: OccupiableSink
    ) -> None:
        sink = under_test.sink
        good, bad = targets_in(0, sink.shards, 2)
        await begin(sink, ORDERS, 0)
        await under_test.occupy(bad)
        before = await position(sink, ORDERS, 0)
        entries = [entry(0, good), entry(1, bad), entry(2, good), entry(3, bad)]

        answer = await call(sink, 0, Mark(partition=ORDERS, previous=-1, upto=3, timestamp=3), *entries)

        assert answer == Bad(offsets=(1, 3))
        assert await under_test.stored(good) == []
        assert await position(sink, ORDERS, 0) == before

    async def test_applies_the_rest_once_the_bad_ones_are_left_out(self, under_test: OccupiableSink) -> None:
        sink = under_test.sink
        good, bad = targets_in(0, sink.shards, 2)
        await begin(sink, ORDERS, 0)
        await under_test.occupy(bad)
        mark = Mark(partition=ORDERS, previous=-1, upto=2)
        entries = [entry(0, good), entry(1, bad), entry(2, good)]
        await call(sink, 0, mark, *entries)

        answer = await call(sink, 0, mark, entries[0], entries[2])

        assert isinstance(answer, Applied)
        assert (answer.appended, answer.watermark) == (2, 2)
        assert await under_test.stored(good) == stored([entries[0], entries[2]])

    async def test_does_not_call_an_entry_bad_that_it_need_not_append(
        self, under_test: OccupiableSink
    ) -> None:
        sink = under_test.sink
        (target,) = targets_in(0, sink.shards)
        await begin(sink, ORDERS, 0)
        mark = Mark(partition=ORDERS, previous=-1, upto=0)
        await call(sink, 0, mark, entry(0, target))
        await under_test.occupy(target)

        answer = await call(sink, 0, mark, entry(0, target))

        assert isinstance(answer, Applied)
        assert (answer.appended, answer.watermark) == (0, 0)

    async def test_a_checkpoint_answers_for_each_mark_by_itself(self, under_test: OccupiableSink) -> None:
        sink = under_test.sink
        seen = (await begin(sink, ORDERS, 0)).epoch
        await begin(sink, PAYMENTS, 0)
        marks = (
            Mark(partition=NEVER_SEEN, previous=0, upto=1, epoch=seen),
            Mark(partition=ORDERS, previous=5, upto=6, epoch=seen),
            Mark(partition=PAYMENTS, previous=-1, upto=7, epoch=seen),
        )

        lost, gap, applied = await sink.apply(Batch(shard=0, marks=marks))

        assert lost == Lost()
        assert isinstance(gap, Gap)
        assert gap.watermark == -1
        assert gap.epoch != seen
        assert applied == Applied(appended=0, watermark=7, epoch=gap.epoch)
        watermarks = [
            (await position(sink, partition, 0)).watermark for partition in (NEVER_SEEN, ORDERS, PAYMENTS)
        ]
        assert watermarks == [None, -1, 7]
