"""What an `EventSink` promises that cannot say what it has applied."""

# ruff: noqa: D102 - a test's name is its sentence

import pytest

from ..domain.delivery import Applied, Batch, Mark
from .delivery_contract import DeliveryContract
from .sink_under_test import NEVER_SEEN, ORDERS, PAYMENTS, SinkUnderTest, call, entry, targets_in


@pytest.mark.asyncio
class MemorylessSinkContract(DeliveryContract):
    """Subclass it, name the subclass `Test…`, and give a fixture `under_test`: a `SinkUnderTest`.

    For sinks that deliver at least once: a webhook, a table without the watermarks, another broker.
    """

    @pytest.fixture
    def under_test(self) -> SinkUnderTest:
        """The sink to be held against the contract."""
        raise NotImplementedError("MemorylessSinkContract needs a fixture `under_test`")

    async def test_has_no_positions(self, under_test: SinkUnderTest) -> None:
        assert await under_test.sink.positions([ORDERS, NEVER_SEEN]) is None

    async def test_answers_applied_whatever_the_mark_expects(self, under_test: SinkUnderTest) -> None:
        sink = under_test.sink
        (target,) = targets_in(0, sink.shards)

        answer = await call(sink, 0, Mark(partition=ORDERS, previous=100, upto=102), entry(101, target))

        assert answer == Applied(appended=1, watermark=102, epoch="")

    async def test_a_checkpoint_holds_and_sends_nothing(self, under_test: SinkUnderTest) -> None:
        sink = under_test.sink
        (target,) = targets_in(0, sink.shards)
        marks = (
            Mark(partition=ORDERS, previous=1, upto=2),
            Mark(partition=PAYMENTS, previous=None, upto=9),
        )

        answers = await sink.apply(Batch(shard=0, marks=marks))

        assert list(answers) == [Applied(0, 2, ""), Applied(0, 9, "")]
        assert await under_test.stored(target) == []

    async def test_sends_a_repeated_batch_as_often_as_it_is_told(self, under_test: SinkUnderTest) -> None:
        sink = under_test.sink
        (target,) = targets_in(0, sink.shards)
        mark = Mark(partition=ORDERS, previous=-1, upto=0)

        answers = [await call(sink, 0, mark, entry(0, target)) for _ in range(2)]

        assert answers == [Applied(1, 0, ""), Applied(1, 0, "")]
        assert len(await under_test.stored(target)) >= 1
