"""What a source promises to whoever reads."""

# ruff: noqa: D102 - a test's name is its sentence

import asyncio
from collections.abc import Sequence

import pytest

from ..application.ports import Record
from .listener import PATIENCE_SECONDS
from .log_under_test import LogUnderTest, only_member, record

LONG = 4 * PATIENCE_SECONDS
"""A wait that no test sits out."""


def content(records: Sequence[Record]) -> Sequence[tuple[object, ...]]:
    """What must arrive of records, wherever they lie."""
    return [(each.key, each.value, tuple(each.headers), each.timestamp) for each in records]


@pytest.mark.asyncio
class ReadingContract:
    """A part of `EventSourceContract`."""

    async def test_reads_what_was_appended_whole_and_in_order(self, under_test: LogUnderTest) -> None:
        partition = under_test.partitions[0]
        given = [
            record(0, headers=(("traceparent", b"00-1"), ("empty", b""), ("none", None), ("empty", b"2"))),
            record(1, key=None),
            record(2, value=None),
            record(3, value=bytes(range(256))),
        ]
        offsets = await under_test.append(partition, given)

        async with only_member(under_test) as reader:
            records = await reader.read(partition, 4)

        assert content(records) == content(given)
        assert [each.offset for each in records] == list(offsets)
        assert not any(each.too_large for each in records)

    async def test_a_poll_gives_no_more_than_asked_and_the_next_goes_on(
        self, under_test: LogUnderTest
    ) -> None:
        partition = under_test.partitions[0]
        offsets = await under_test.append(partition, [record(n) for n in range(5)])

        async with only_member(under_test) as reader:
            first = await reader.source.poll(partition, 2, LONG)
            rest = await reader.read(partition, 3)

        assert 1 <= len(first.records) <= 2
        read = [each.offset for each in (*first.records, *rest)]
        assert read == list(offsets)[: len(read)]

    async def test_partitions_hold_their_own_records(self, under_test: LogUnderTest) -> None:
        for partition in under_test.partitions:
            await under_test.append(partition, [record(partition.number)])

        async with only_member(under_test) as reader:
            read = [await reader.read(partition, 1) for partition in under_test.partitions]

        assert [content(records) for records in read] == [
            content([record(partition.number)]) for partition in under_test.partitions
        ]

    async def test_a_waiting_poll_answers_when_something_is_appended(self, under_test: LogUnderTest) -> None:
        partition = under_test.partitions[0]

        async with only_member(under_test) as reader:
            waiting = asyncio.create_task(reader.source.poll(partition, 10, LONG))
            await reader.source.poll(under_test.partitions[1], 1, 0)
            await under_test.append(partition, [record(1)])
            async with asyncio.timeout(PATIENCE_SECONDS):
                polled = await waiting

        assert content(polled.records) == content([record(1)])

    async def test_a_poll_of_an_empty_partition_gives_nothing_in_the_end(
        self, under_test: LogUnderTest
    ) -> None:
        partition = under_test.partitions[0]

        async with only_member(under_test) as reader, asyncio.timeout(PATIENCE_SECONDS):
            start = await reader.begin(partition)
            polled = await reader.source.poll(partition, 10, 0.05)

        assert list(polled.records) == []
        assert polled.next_offset == start

    async def test_a_poll_that_waits_holds_up_no_other_partition(self, under_test: LogUnderTest) -> None:
        empty, full = under_test.partitions[:2]
        await under_test.append(full, [record(1)])

        async with only_member(under_test) as reader:
            waiting = asyncio.create_task(reader.source.poll(empty, 10, LONG))
            records = await reader.read(full, 1)
            still_waiting = not waiting.done()
            await reader.nudged(waiting, lambda: reader.source.seek(empty, 0))

        assert content(records) == content([record(1)])
        assert still_waiting

    async def test_reads_on_where_it_was_sought(self, under_test: LogUnderTest) -> None:
        partition = under_test.partitions[0]
        offsets = await under_test.append(partition, [record(n) for n in range(20)])

        async with only_member(under_test) as reader:
            reader.source.seek(partition, offsets[15])
            ahead = await reader.read(partition, 1)
            reader.source.seek(partition, offsets[3])
            back = await reader.read(partition, 1)

        assert ahead[0].offset == offsets[15]
        assert back[0].offset == offsets[3]

    async def test_a_seek_forgets_what_was_prefetched(self, under_test: LogUnderTest) -> None:
        partition = under_test.partitions[0]
        offsets = await under_test.append(partition, [record(n) for n in range(20)])

        async with only_member(under_test) as reader:
            await reader.read(partition, 1, max_records=1)
            reader.source.seek(partition, offsets[10])
            polled = await reader.source.poll(partition, 1, LONG)
            reader.source.seek(partition, offsets[0])
            records = await reader.read(partition, 20)

        assert [each.offset for each in polled.records] == [offsets[10]]
        assert polled.next_offset == offsets[11]
        assert [each.offset for each in records] == list(offsets)

    async def test_a_seek_ends_a_waiting_poll_with_nothing(self, under_test: LogUnderTest) -> None:
        partition = under_test.partitions[0]
        await under_test.append(partition, [record(1)])

        async with only_member(under_test) as reader:
            end = (await reader.source.bounds(partition)).end
            reader.source.seek(partition, end)
            waiting = asyncio.create_task(reader.source.poll(partition, 10, LONG))
            polled = await reader.nudged(waiting, lambda: reader.source.seek(partition, end))

        assert list(polled.records) == []

    async def test_reads_nothing_of_a_paused_partition_and_the_others_on(
        self, under_test: LogUnderTest
    ) -> None:
        paused, other = under_test.partitions[:2]
        offsets = await under_test.append(paused, [record(n) for n in range(3)])
        await under_test.append(other, [record(7)])

        async with only_member(under_test) as reader:
            await reader.read(paused, 1, max_records=1)
            reader.source.pause([paused])
            while_paused = await reader.source.poll(paused, 10, 0.3)
            others = await reader.read(other, 1)
            reader.source.resume([paused])
            after = await reader.read(paused, 2)

        assert list(while_paused.records) == []
        assert content(others) == content([record(7)])
        assert [each.offset for each in after] == list(offsets[1:])

    async def test_a_pause_ends_a_waiting_poll_with_nothing(self, under_test: LogUnderTest) -> None:
        partition = under_test.partitions[0]

        async with only_member(under_test) as reader:
            waiting = asyncio.create_task(reader.source.poll(partition, 10, LONG))
            polled = await reader.nudged(waiting, lambda: reader.source.pause([partition]))

        assert list(polled.records) == []

    async def test_a_paused_partition_can_be_sought(self, under_test: LogUnderTest) -> None:
        partition = under_test.partitions[0]
        offsets = await under_test.append(partition, [record(n) for n in range(5)])

        async with only_member(under_test) as reader:
            reader.source.pause([partition])
            reader.source.seek(partition, offsets[2])
            reader.source.resume([partition])
            records = await reader.read(partition, 3)

        assert [each.offset for each in records] == list(offsets[2:])

    async def test_next_offset_leads_over_gaps(self, under_test: LogUnderTest) -> None:
        partition = under_test.partitions[0]
        (before,) = await under_test.append(partition, [record(0)])
        await under_test.leave_gap(partition)
        (after,) = await under_test.append(partition, [record(1)])
        await under_test.leave_gap(partition)

        read: list[int] = []
        async with only_member(under_test) as reader, asyncio.timeout(PATIENCE_SECONDS):
            end = (await reader.source.bounds(partition)).end
            position = -1
            while position < end:
                polled = await reader.source.poll(partition, 1, 0.5)
                assert polled.next_offset >= position
                assert all(position <= each.offset < polled.next_offset for each in polled.records)
                position = polled.next_offset
                read += [each.offset for each in polled.records]

        assert read == [before, after]
        assert after > before + 1
        assert position == end > after + 1

    async def test_bounds_are_the_first_offset_and_the_one_after_the_last(
        self, under_test: LogUnderTest
    ) -> None:
        partition, empty = under_test.partitions[:2]
        offsets = await under_test.append(partition, [record(n) for n in range(3)])

        async with only_member(under_test) as reader:
            bounds = await reader.source.bounds(partition)
            bounds_of_empty = await reader.source.bounds(empty)

        assert bounds.start <= offsets[0]
        assert bounds.end == offsets[-1] + 1
        assert bounds_of_empty.start == bounds_of_empty.end

    async def test_tells_the_timestamp_of_a_record_and_none_where_there_is_no_record(
        self, under_test: LogUnderTest
    ) -> None:
        partition = under_test.partitions[0]
        first, second = await under_test.append(partition, [record(0), record(1)])
        await under_test.leave_gap(partition)
        (last,) = await under_test.append(partition, [record(2)])

        async with only_member(under_test) as reader, asyncio.timeout(PATIENCE_SECONDS):
            told = [
                await reader.source.timestamp_at(partition, offset)
                for offset in (second, first, last, second + 1, last + 1)
            ]

        assert told == [record(1).timestamp, record(0).timestamp, record(2).timestamp, None, None]

    async def test_reads_on_after_a_timestamp_once_it_is_sought(self, under_test: LogUnderTest) -> None:
        partition = under_test.partitions[0]
        offsets = await under_test.append(partition, [record(n) for n in range(3)])

        async with only_member(under_test) as reader:
            await reader.source.timestamp_at(partition, offsets[2])
            reader.source.seek(partition, offsets[1])
            records = await reader.read(partition, 2)

        assert [each.offset for each in records] == list(offsets[1:])

    async def test_lag_counts_what_is_still_to_be_read(self, under_test: LogUnderTest) -> None:
        partition = under_test.partitions[0]
        await under_test.append(partition, [record(n) for n in range(5)])

        async with only_member(under_test) as reader:
            await reader.read(partition, 1, max_records=1)
            lag = reader.source.lag(partition)
            await reader.read(partition, 4)
            lag_at_the_end = reader.source.lag(partition)

        assert (lag, lag_at_the_end) == (4, 0)
