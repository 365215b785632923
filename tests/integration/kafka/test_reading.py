"""The source reads partitions one by one: seeks, pauses, waits, and what an error costs the others."""

import asyncio
import itertools

import pytest

from eventbridge.application.errors import NotAssigned
from eventbridge.application.ports import Commit, Polled
from eventbridge.domain.delivery import Partition
from tests.integration.kafka.conftest import MakeSettings
from tests.integration.kafka.members import LIMIT, joined, produce, producing
from tests.servers.choice import SharedKafka


async def test_records_come_as_they_lie_there(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    async with producing(kafka.bootstrap) as producer:
        sent = await producer.send_and_wait(
            partition.topic,
            b"value",
            key=b"key",
            partition=0,
            timestamp_ms=1_700_000_000_123,
            headers=[("correlation_id", b"\xff\x00"), ("empty", b"")],
        )
    async with joined(settings(), 4) as member:
        member.source.seek(partition, sent.offset)

        (record,) = await member.read(partition, 1)

    assert (record.offset, record.timestamp) == (0, 1_700_000_000_123)
    assert (record.key, record.value, record.too_large) == (b"key", b"value", False)
    assert list(record.headers) == [("correlation_id", b"\xff\x00"), ("empty", b"")]


async def test_a_poll_gives_at_most_what_was_asked_for_and_goes_on_behind_it(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    await produce(kafka.bootstrap, partition, *(b"%d" % number for number in range(10)))
    async with joined(settings(), 4) as member:
        member.source.seek(partition, 0)

        polls = [await member.source.poll(partition, 4, 5) for _ in range(3)]

    assert [[int(r.value or b"") for r in polled.records] for polled in polls] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9],
    ]
    assert [polled.next_offset for polled in polls] == [4, 8, 10]


async def test_a_partition_is_not_read_before_it_is_sought(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    await produce(kafka.bootstrap, partition, b"first", b"second")
    other = Partition(partition.topic, 1)
    async with joined(settings(), 4) as member:
        member.source.seek(other, 0)
        assert await member.source.poll(other, 10, 0.3) == Polled((), 0)
        assert member.source.lag(partition) is None

        member.source.seek(partition, 1)
        (record,) = await member.read(partition, 1)

    assert record.offset == 1


async def test_polls_of_several_partitions_wait_side_by_side(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    async with joined(settings(), 4) as member:
        for each in member.partitions:
            member.source.seek(each, 0)
        polls = {each: asyncio.create_task(member.source.poll(each, 10, 10)) for each in member.partitions}

        for each in reversed(member.partitions):
            await produce(kafka.bootstrap, each, b"%d" % each.number)
        found = {each: await polling for each, polling in polls.items()}

    assert {each: [r.value for r in polled.records] for each, polled in found.items()} == {
        each: [b"%d" % each.number] for each in member.partitions
    }


async def test_a_seek_ends_the_wait_at_once_and_the_next_poll_reads_from_there(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    await produce(kafka.bootstrap, partition, b"0", b"1", b"2")
    async with joined(settings(), 4) as member:
        member.source.seek(partition, 3)
        polling = asyncio.create_task(member.source.poll(partition, 10, 30))
        await asyncio.sleep(0)

        member.source.seek(partition, 1)
        async with asyncio.timeout(5):
            interrupted = await polling
        records = await member.read(partition, 2)

    assert interrupted == Polled((), 1)
    assert [record.offset for record in records] == [1, 2]


async def test_a_seek_in_the_moment_between_taking_and_giving_loses_nothing(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    async with joined(settings(), 4) as member:
        member.source.seek(partition, 0)
        polling = asyncio.create_task(member.source.poll(partition, 10, LIMIT))
        while not (taking := _tasks_named("PartitionReader._take")):  # noqa: ASYNC110 - the moment is the point
            await asyncio.sleep(0)
        producing = asyncio.create_task(produce(kafka.bootstrap, partition, b"0", b"1"))
        while not taking[0].done():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)

        member.source.pause([partition])
        interrupted = await polling
        member.source.resume([partition])
        await producing
        records = await member.read(partition, 2)

    assert interrupted == Polled((), 0)
    assert [record.offset for record in records] == [0, 1]


def _tasks_named(name: str) -> list[asyncio.Task[object]]:
    return [each for each in asyncio.all_tasks() if getattr(each.get_coro(), "__qualname__", "") == name]


async def test_a_pause_ends_the_wait_and_nothing_comes_until_resumed(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    async with joined(settings(), 4) as member:
        member.source.seek(partition, 0)
        polling = asyncio.create_task(member.source.poll(partition, 10, 30))
        await asyncio.sleep(0)

        member.source.pause([partition])
        async with asyncio.timeout(5):
            interrupted = await polling
        await produce(kafka.bootstrap, partition, b"0")
        paused = await member.source.poll(partition, 10, 0.3)
        member.source.resume([partition])
        records = await member.read(partition, 1)

    assert interrupted == paused == Polled((), 0)
    assert records[0].value == b"0"


async def test_a_partition_that_is_paused_stays_so_over_a_seek(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    await produce(kafka.bootstrap, partition, b"0", b"1")
    async with joined(settings(), 4) as member:
        member.source.pause([partition])
        member.source.seek(partition, 1)
        paused = await member.source.poll(partition, 10, 0.3)

        member.source.resume([partition])
        (record,) = await member.read(partition, 1)

    assert paused == Polled((), 1)
    assert record.offset == 1


async def test_seeking_back_and_forth_while_records_arrive_loses_and_repeats_nothing(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    await produce(kafka.bootstrap, partition, *(b"%d" % number for number in range(500)))
    async with joined(settings(), 4) as member:
        position, interrupted = 0, 0
        read: list[int] = []
        member.source.seek(partition, 0)
        for attempt in itertools.count():
            if len(read) >= 500:
                break
            polling = asyncio.create_task(member.source.poll(partition, 7, 1))
            for _ in range(attempt % 9):
                await asyncio.sleep(0)
            if attempt % 2 and not polling.done():
                interrupted += 1
                member.source.seek(partition, position)
            polled = await polling
            read += [record.offset for record in polled.records]
            position = polled.next_offset

    assert read == list(range(500))
    assert interrupted > 0


async def test_the_lag_is_what_was_not_yet_read(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    await produce(kafka.bootstrap, partition, *(b"%d" % number for number in range(10)))
    async with joined(settings(), 4) as member:
        member.source.seek(partition, 2)

        await member.read(partition, 3, at_once=3)

        assert member.source.lag(partition) == 5
        assert member.source.lag(Partition("other", 0)) is None


async def test_what_is_not_ours_is_refused(settings: MakeSettings) -> None:
    foreign = Partition("other", 7)
    async with joined(settings(), 4) as member:
        with pytest.raises(NotAssigned):
            await member.source.poll(foreign, 1, 1)
        with pytest.raises(NotAssigned):
            member.source.seek(foreign, 0)
        with pytest.raises(NotAssigned):
            await member.source.timestamp_at(foreign, 0)
        with pytest.raises(NotAssigned):
            await member.source.commit({foreign: Commit(1, "")})

        member.source.pause([foreign])
        member.source.resume([foreign])
