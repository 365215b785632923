"""Offsets without records: control records, aborted transactions, compaction, what retention took."""

import asyncio

import pytest

from eventbridge.application.errors import PositionOutOfLog
from eventbridge.application.ports import LogBounds, Polled
from eventbridge.domain.delivery import Partition
from tests.integration.kafka.conftest import MakeSettings
from tests.integration.kafka.members import LIMIT, joined, produce, producing
from tests.servers.choice import SharedKafka
from tests.servers.topics import create_topic


async def _transactions(bootstrap: str, partition: Partition, *outcomes: bool) -> None:
    """Two records and a marker each: committed (True) or aborted."""
    async with producing(bootstrap, transactional_id=f"tx-{partition.topic}") as producer:
        for number, committed in enumerate(outcomes):
            await producer.begin_transaction()
            for value in (b"%d a" % number, b"%d b" % number):
                await producer.send(partition.topic, value, key=b"k", partition=partition.number)
            await (producer.commit_transaction() if committed else producer.abort_transaction())


@pytest.mark.real_kafka
async def test_only_committed_transactions_are_read(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    await _transactions(kafka.bootstrap, partition, True, False, True, False)
    async with joined(settings(), 4) as member:
        member.source.seek(partition, 0)

        records = await member.read(partition, 4)

    assert [(record.offset, record.value) for record in records] == [
        (0, b"0 a"),
        (1, b"0 b"),
        (6, b"2 a"),
        (7, b"2 b"),
    ]


@pytest.mark.real_kafka
async def test_the_position_passes_what_has_no_records(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    await _transactions(kafka.bootstrap, partition, False, False)
    async with joined(settings(), 4) as member:
        member.source.seek(partition, 0)

        polled = Polled((), 0)
        async with asyncio.timeout(LIMIT):
            while not polled.records and polled.next_offset < 6:
                polled = await member.source.poll(partition, 10, 0.5)
        bounds = await member.source.bounds(partition)
        timestamps = [await member.source.timestamp_at(partition, offset) for offset in range(6)]

    assert timestamps == [None] * 6
    assert polled == Polled((), 6)
    assert bounds == LogBounds(0, 6)


@pytest.mark.real_kafka
async def test_a_timestamp_is_that_of_the_record_at_exactly_this_offset(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    await _transactions(kafka.bootstrap, partition, True, False)
    async with producing(kafka.bootstrap) as producer:
        await producer.send_and_wait(
            partition.topic, b"last", partition=partition.number, timestamp_ms=1_700_000_000_777
        )
    async with joined(settings(), 4) as member:
        found = {offset: await member.source.timestamp_at(partition, offset) for offset in range(9)}

        member.source.seek(partition, 6)
        (record,) = await member.read(partition, 1)

    # 0, 1 committed; 2 its marker; 3, 4 aborted; 5 its marker; 6 the last record; 7, 8 not there.
    assert {offset for offset, timestamp in found.items() if timestamp is not None} == {0, 1, 6}
    assert found[6] == record.timestamp == 1_700_000_000_777


@pytest.mark.real_kafka
async def test_what_an_open_transaction_holds_back_lies_behind_the_end(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    await produce(kafka.bootstrap, partition, b"0")
    async with producing(kafka.bootstrap, transactional_id=f"open-{partition.topic}") as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(partition.topic, b"1", key=b"k", partition=partition.number)
        async with joined(settings(), 4) as member:
            bounds = await member.source.bounds(partition)
            timestamp = await member.source.timestamp_at(partition, 1)
        await producer.abort_transaction()

    assert bounds == LogBounds(0, 1)
    assert timestamp is None


@pytest.mark.real_kafka
async def test_what_compaction_removed_is_passed(settings: MakeSettings, kafka: SharedKafka) -> None:
    topic = f"compacted-{settings().group_id}"
    often = {"segment.ms": "1", "max.compaction.lag.ms": "1", "min.cleanable.dirty.ratio": "0.01"}
    create_topic(kafka.bootstrap, topic, partitions=1, config={"cleanup.policy": "compact", **often})
    partition = Partition(topic, 0)
    async with joined(settings(topics=(topic,)), 1) as member:
        offsets: list[int] = []
        end, polled = 0, Polled((), 0)
        async with asyncio.timeout(50):
            while not offsets or offsets == list(range(offsets[-1] + 1)):
                # Each write may roll a segment, and only rolled segments are cleaned.
                await produce(kafka.bootstrap, partition, b"same key", b"same key")
                end = (await member.source.bounds(partition)).end
                member.source.seek(partition, 0)
                offsets = []
                while not offsets or offsets[-1] < end - 1:
                    polled = await member.source.poll(partition, 100, 1)
                    offsets += [record.offset for record in polled.records]
        gone = next(offset for offset in range(end) if offset not in offsets)
        there = offsets[-1]

        assert await member.source.timestamp_at(partition, gone) is None
        assert await member.source.timestamp_at(partition, there) is not None
        assert polled.next_offset == end


@pytest.mark.real_kafka
async def test_a_position_that_the_log_does_not_hold_is_reported_at_once(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    await produce(kafka.bootstrap, partition, b"0")
    other = Partition(partition.topic, 1)
    await produce(kafka.bootstrap, other, b"other")
    async with joined(settings(), 4) as member:
        member.source.seek(partition, 1000)
        member.source.seek(other, 0)

        with pytest.raises(PositionOutOfLog, match="offset 1000") as beyond:
            await member.source.poll(partition, 10, 10)
        (record,) = await member.read(other, 1)

        assert (beyond.value.partition, beyond.value.position) == (partition, 1000)
        assert record.value == b"other"
        assert await member.source.timestamp_at(partition, 1000) is None
