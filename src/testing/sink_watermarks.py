"""What a sink with memory promises of its watermarks and epochs."""

# ruff: noqa: D102 - a test's name is its sentence

import pytest

from ..domain.delivery import Applied, Batch, Mark
from ..domain.message import SSEMessage
from .sink_under_test import (
    NEVER_SEEN,
    ORDERS,
    PAYMENTS,
    SinkUnderTest,
    begin,
    call,
    entry,
    position,
    stored,
    targets_in,
)


@pytest.mark.asyncio
class WatermarkContract:
    """A part of `EventSinkContract`."""

    async def test_knows_nothing_of_a_partition_that_was_never_initialised(
        self, under_test: SinkUnderTest
    ) -> None:
        sink = under_test.sink

        positions = await sink.positions([NEVER_SEEN])

        assert positions is not None
        assert [known.watermark for known in positions[NEVER_SEEN]] == [None] * sink.shards
        assert [known.timestamp for known in positions[NEVER_SEEN]] == [None] * sink.shards

    async def test_initialises_a_watermark_and_gives_the_shard_an_epoch(
        self, under_test: SinkUnderTest
    ) -> None:
        sink = under_test.sink

        answer = await call(sink, 1, Mark(partition=ORDERS, previous=None, upto=41, timestamp=7))

        assert isinstance(answer, Applied)
        assert (answer.appended, answer.watermark) == (0, 41)
        known = await position(sink, ORDERS, 1)
        assert known.epoch
        assert (known.watermark, known.timestamp, known.epoch) == (41, 7, answer.epoch)
        assert (await position(sink, ORDERS, 0)).watermark is None

    async def test_an_initialisation_twice_keeps_the_first(self, under_test: SinkUnderTest) -> None:
        sink = under_test.sink
        await call(sink, 0, Mark(partition=ORDERS, previous=None, upto=41, timestamp=7))
        first = await position(sink, ORDERS, 0)

        again = await call(
            sink, 0, Mark(partition=ORDERS, previous=None, upto=99, timestamp=8, epoch=first.epoch)
        )

        assert isinstance(again, Applied)
        assert (again.appended, again.watermark) == (0, 41)
        assert await position(sink, ORDERS, 0) == first

    async def test_a_further_partition_leaves_the_epoch_alone(self, under_test: SinkUnderTest) -> None:
        sink = under_test.sink
        first = await begin(sink, ORDERS, 0)

        further = await begin(sink, PAYMENTS, 0)

        assert further.epoch == first.epoch
        assert (await position(sink, ORDERS, 0)).epoch == first.epoch

    async def test_initialising_a_watermark_that_was_lost_changes_the_epoch_that_was_seen(
        self, under_test: SinkUnderTest
    ) -> None:
        sink = under_test.sink
        first = await begin(sink, ORDERS, 0)

        lost_and_found = await begin(sink, PAYMENTS, 0, epoch=first.epoch)
        late = await begin(sink, NEVER_SEEN, 0, epoch=first.epoch)

        assert lost_and_found.epoch != first.epoch
        assert late.epoch == lost_and_found.epoch, "the epoch seen was not the present one any more"

    async def test_a_repeated_batch_appends_nothing(self, under_test: SinkUnderTest) -> None:
        sink = under_test.sink
        (target,) = targets_in(0, sink.shards)
        await begin(sink, ORDERS, 0)
        mark = Mark(partition=ORDERS, previous=-1, upto=2, timestamp=9)
        entries = [entry(0, target), entry(2, target)]
        first = await call(sink, 0, mark, *entries)

        again = await call(sink, 0, mark, *entries)

        assert isinstance(first, Applied)
        assert first == Applied(appended=2, watermark=2, epoch=first.epoch)
        assert again == Applied(appended=0, watermark=2, epoch=first.epoch)
        assert await under_test.stored(target) == stored(entries)

    async def test_of_an_overlapping_batch_appends_what_is_new(self, under_test: SinkUnderTest) -> None:
        sink = under_test.sink
        (target,) = targets_in(0, sink.shards)
        await begin(sink, ORDERS, 0)
        entries = [entry(offset, target) for offset in range(6)]
        await call(sink, 0, Mark(partition=ORDERS, previous=-1, upto=3), *entries[:4])

        answer = await call(sink, 0, Mark(partition=ORDERS, previous=1, upto=5), *entries[2:])

        assert isinstance(answer, Applied)
        assert (answer.appended, answer.watermark) == (2, 5)
        assert await under_test.stored(target) == stored(entries)

    async def test_a_lower_upto_never_lowers_the_watermark(self, under_test: SinkUnderTest) -> None:
        sink = under_test.sink
        (target,) = targets_in(0, sink.shards)
        await begin(sink, ORDERS, 0)
        entries = [entry(offset, target) for offset in range(6)]
        await call(sink, 0, Mark(partition=ORDERS, previous=-1, upto=5, timestamp=5), *entries)

        answer = await call(sink, 0, Mark(partition=ORDERS, previous=-1, upto=2, timestamp=2), *entries[:3])

        assert isinstance(answer, Applied)
        assert (answer.appended, answer.watermark) == (0, 5)
        known = await position(sink, ORDERS, 0)
        assert (known.watermark, known.timestamp) == (5, 5)

    async def test_a_checkpoint_moves_watermarks_without_entries(self, under_test: SinkUnderTest) -> None:
        sink = under_test.sink
        await begin(sink, ORDERS, 0)
        await begin(sink, PAYMENTS, 0)
        marks = (
            Mark(partition=ORDERS, previous=-1, upto=10, timestamp=100),
            Mark(partition=PAYMENTS, previous=-1, upto=20, timestamp=None),
        )

        answers = await sink.apply(Batch(shard=0, marks=marks))

        assert [(type(answer), getattr(answer, "watermark", None)) for answer in answers] == [
            (Applied, 10),
            (Applied, 20),
        ]
        orders, payments = await position(sink, ORDERS, 0), await position(sink, PAYMENTS, 0)
        assert (orders.watermark, orders.timestamp) == (10, 100)
        assert (payments.watermark, payments.timestamp) == (20, None)

    async def test_a_mark_without_a_timestamp_leaves_none_of_an_older_record(
        self, under_test: SinkUnderTest
    ) -> None:
        sink = under_test.sink
        await call(sink, 0, Mark(partition=ORDERS, previous=None, upto=4, timestamp=4))

        await call(sink, 0, Mark(partition=ORDERS, previous=4, upto=9, timestamp=None))

        known = await position(sink, ORDERS, 0)
        assert (known.watermark, known.timestamp) == (9, None)

    async def test_remembers_the_last_record_below_a_watermark_that_lies_on_none(
        self, under_test: SinkUnderTest
    ) -> None:
        sink = under_test.sink
        await call(sink, 0, Mark(partition=ORDERS, previous=None, upto=4, timestamp=7, proof=3))
        first = await position(sink, ORDERS, 0)

        await call(sink, 0, Mark(partition=ORDERS, previous=4, upto=9, timestamp=8, proof=6))
        below = await position(sink, ORDERS, 0)
        await call(sink, 0, Mark(partition=ORDERS, previous=9, upto=10, timestamp=9))
        at = await position(sink, ORDERS, 0)

        assert [(known.watermark, known.timestamp, known.proof) for known in (first, below, at)] == [
            (4, 7, 3),
            (9, 8, 6),
            (10, 9, None),
        ]

    async def test_partitions_do_not_move_one_another(self, under_test: SinkUnderTest) -> None:
        sink = under_test.sink
        (target,) = targets_in(0, sink.shards)
        await begin(sink, ORDERS, 0)
        await begin(sink, PAYMENTS, 0)
        await call(sink, 0, Mark(partition=ORDERS, previous=-1, upto=5), entry(5, target, b'"orders"'))

        answer = await call(
            sink, 0, Mark(partition=PAYMENTS, previous=-1, upto=3), entry(3, target, b'"payments"')
        )

        assert isinstance(answer, Applied)
        assert answer.appended == 1
        assert (await position(sink, ORDERS, 0)).watermark == 5
        assert [each.data for each in await under_test.stored(target)] == [b'"orders"', b'"payments"']

    async def test_a_single_event_published_moves_no_watermark(self, under_test: SinkUnderTest) -> None:
        sink = under_test.sink
        (target,) = targets_in(0, sink.shards)
        await begin(sink, ORDERS, 0)
        before = await sink.positions([ORDERS])

        await sink.publish_event(target.id, SSEMessage(event="Genesis.Session.Failed", data=b"{}"))

        assert await sink.positions([ORDERS]) == before
