"""What every `EventSink` promises, with memory or without."""

# ruff: noqa: D102 - a test's name is its sentence

import pytest

from ..domain.delivery import Applied, Batch, Mark
from ..domain.message import SSEMessage
from .sink_under_test import ORDERS, SinkUnderTest, StoredEvent, begin, call, entry, stored, targets_in


@pytest.mark.asyncio
class DeliveryContract:
    """What `EventSinkContract` and `MemorylessSinkContract` have in common: subclass one of those."""

    @staticmethod
    def message(number: int = 1) -> SSEMessage:
        """A message that can be told from others by its number."""
        return SSEMessage(event="Genesis.Session.Finished", data=b'{"number":%d}' % number)

    async def test_appends_the_entries_of_a_batch_in_order_and_as_they_are(
        self, under_test: SinkUnderTest
    ) -> None:
        sink = under_test.sink
        first, second = targets_in(0, sink.shards, 2)
        await begin(sink, ORDERS, 0)
        entries = [
            entry(0, first, '{"text":"Grüße, 世界 \\u0000"}'.encode()),
            entry(1, second, b'"x"'),
            entry(3, first, b'{"text":" a\\r\\nb "}'),
        ]

        answer = await call(sink, 0, Mark(partition=ORDERS, previous=-1, upto=7), *entries)

        assert isinstance(answer, Applied)
        assert (answer.appended, answer.watermark) == (3, 7)
        assert await under_test.stored(first) == stored([entries[0], entries[2]])
        assert await under_test.stored(second) == stored([entries[1]])

    async def test_batches_follow_one_another(self, under_test: SinkUnderTest) -> None:
        sink = under_test.sink
        (target,) = targets_in(1, sink.shards) if sink.shards > 1 else targets_in(0, 1)
        shard = 1 if sink.shards > 1 else 0
        await begin(sink, ORDERS, shard)
        entries = [entry(offset, target) for offset in range(4)]

        for each in entries:
            await call(sink, shard, Mark(partition=ORDERS, previous=each.offset - 1, upto=each.offset), each)

        assert await under_test.stored(target) == stored(entries)

    async def test_answers_an_item_per_mark(self, under_test: SinkUnderTest) -> None:
        sink = under_test.sink
        marks = tuple(Mark(partition=ORDERS._replace(number=n), previous=None, upto=n) for n in range(5))

        answers = await sink.apply(Batch(shard=0, marks=marks))

        assert [answer.watermark for answer in answers if isinstance(answer, Applied)] == [0, 1, 2, 3, 4]

    async def test_publishes_single_events_once_each_and_tells_their_positions(
        self, under_test: SinkUnderTest
    ) -> None:
        sink = under_test.sink
        (target,) = targets_in(0, sink.shards)

        positions = [await sink.publish_event(target.id, self.message(number)) for number in range(3)]

        assert len(set(positions)) == 3
        assert await under_test.stored(target) == [
            StoredEvent(event=message.event, data=message.data)
            for message in (self.message(number) for number in range(3))
        ]
