"""The contract of an `EventSink` with memory."""

# ruff: noqa: D102 - a test's name is its sentence

import asyncio
from typing import ClassVar

import pytest

from ..domain.delivery import MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, Applied, Batch, Mark
from .cancellation import cancelled_at
from .delivery_contract import DeliveryContract
from .sink_refusals import RefusalContract
from .sink_under_test import ORDERS, PAYMENTS, OccupiableSink, begin, call, entry, stored, targets_in
from .sink_watermarks import WatermarkContract


@pytest.mark.asyncio
class EventSinkContract(DeliveryContract, WatermarkContract, RefusalContract):
    """Subclass it, name the subclass `Test…`, and give a fixture `under_test`: an `OccupiableSink`.

    The fixture makes a fresh sink without content for each test, with two shards or more, and closes it.
    """

    most_suspensions: ClassVar[int] = 12
    """At how many of its waits, from the first, a call is cancelled in the test of cancellation."""

    @pytest.fixture
    def under_test(self) -> OccupiableSink:
        """The sink to be held against the contract."""
        raise NotImplementedError("EventSinkContract needs a fixture `under_test`")

    async def test_shards_take_calls_at_the_same_time(self, under_test: OccupiableSink) -> None:
        sink = under_test.sink
        targets = [targets_in(shard, sink.shards)[0] for shard in range(sink.shards)]
        await asyncio.gather(*(begin(sink, ORDERS, shard) for shard in range(sink.shards)))

        await asyncio.gather(
            *(
                call(sink, shard, Mark(partition=ORDERS, previous=-1, upto=shard), entry(shard, target))
                for shard, target in enumerate(targets)
            )
        )

        known = await sink.positions([ORDERS])
        assert known is not None
        assert [each.watermark for each in known[ORDERS]] == list(range(sink.shards))
        assert [await under_test.stored(target) for target in targets] == [
            stored([entry(shard, target)]) for shard, target in enumerate(targets)
        ]

    async def test_a_full_batch_is_one_call(self, under_test: OccupiableSink) -> None:
        sink = under_test.sink
        targets = targets_in(0, sink.shards, 50)
        await begin(sink, ORDERS, 0)
        entries = [
            entry(offset, targets[offset % 50], b'"%s"' % (b"x" * (MAX_BATCH_BYTES // MAX_BATCH_ENTRIES - 2)))
            for offset in range(MAX_BATCH_ENTRIES)
        ]

        answer = await call(
            sink, 0, Mark(partition=ORDERS, previous=-1, upto=MAX_BATCH_ENTRIES - 1), *entries
        )

        assert isinstance(answer, Applied)
        assert (answer.appended, answer.watermark) == (MAX_BATCH_ENTRIES, MAX_BATCH_ENTRIES - 1)
        assert await under_test.stored(targets[0]) == stored(entries[::50])

    async def test_a_call_cancelled_while_it_waits_can_be_made_again(
        self, under_test: OccupiableSink
    ) -> None:
        sink = under_test.sink
        (target,) = targets_in(0, sink.shards)
        await begin(sink, ORDERS, 0)
        await begin(sink, PAYMENTS, 0)
        offset, suspended = 0, True

        while suspended and offset < self.most_suspensions:
            mark = Mark(partition=ORDERS, previous=offset - 1, upto=offset)
            batch = Batch(shard=0, marks=(mark,), entries=(entry(offset, target),))
            suspended = await cancelled_at(offset + 1, sink.apply(batch))
            other = await call(sink, 0, Mark(partition=PAYMENTS, previous=-1, upto=1000 + offset))
            again = await call(sink, 0, mark, entry(offset, target))

            assert isinstance(other, Applied)
            assert other.watermark == 1000 + offset, "the next call was given another one's answer"
            assert isinstance(again, Applied)
            assert again.watermark == offset
            offset += 1

        assert await under_test.stored(target) == stored([entry(each, target) for each in range(offset)])
