"""Commits with a text of ours, kept and found again; and what the log's ends are."""

import asyncio

import pytest

from eventbridge.application.errors import NotAssigned, SourceMisconfigured
from eventbridge.application.ports import Commit, LogBounds
from eventbridge.domain.delivery import Partition
from tests.integration.kafka.conftest import MakeSettings
from tests.integration.kafka.members import joined, produce
from tests.servers.choice import SharedKafka


async def test_a_commit_comes_back_with_its_text(settings: MakeSettings, partition: Partition) -> None:
    async with joined(settings(), 4) as member:
        other = Partition(partition.topic, 3)
        before = await member.source.committed(member.partitions)

        await member.source.commit({partition: Commit(7, "v1 source é"), other: Commit(0, "")})
        after = await member.source.committed(member.partitions)

    assert before == {}
    assert after == {partition: Commit(7, "v1 source é"), other: Commit(0, "")}


async def test_commits_are_found_by_the_next_of_the_group(
    settings: MakeSettings, partition: Partition
) -> None:
    # The mock cluster waits for members that have left until their session ends.
    options = {"session_timeout_seconds": 6.0}
    async with joined(settings(**options), 4) as member:
        await member.source.commit({partition: Commit(7, "kept")})

    async with joined(settings(**options), 4) as member:
        assert await member.source.committed([partition]) == {partition: Commit(7, "kept")}


async def test_a_partition_that_is_not_ours_is_not_committed(settings: MakeSettings) -> None:
    foreign = Partition("other", 0)
    async with joined(settings(), 4) as member:
        with pytest.raises(NotAssigned, match="other/0"):
            await member.source.commit({foreign: Commit(1, "")})


@pytest.mark.real_kafka
async def test_a_text_that_is_too_long_is_ours_to_mend(settings: MakeSettings, partition: Partition) -> None:
    async with joined(settings(), 4) as member:
        with pytest.raises(SourceMisconfigured) as refused:
            await member.source.commit({partition: Commit(1, "x" * 5000)})

    assert refused.value.reason == "offset_metadata"


async def test_bounds_and_partitions_of_a_topic(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    await produce(kafka.bootstrap, partition, b"0", b"1")
    async with joined(settings(), 4) as member:
        bounds = await asyncio.gather(*(member.source.bounds(each) for each in member.partitions))
        partitions = await member.source.partitions_of(partition.topic)

    assert bounds == [LogBounds(0, 2), LogBounds(0, 0), LogBounds(0, 0), LogBounds(0, 0)]
    assert partitions == [Partition(partition.topic, number) for number in range(4)]


async def test_a_timestamp_is_found_and_its_absence_too(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    await produce(kafka.bootstrap, partition, b"0", b"1")
    async with joined(settings(), 4) as member:
        member.source.seek(partition, 0)
        expected = [record.timestamp for record in await member.read(partition, 2)]

        found = [await member.source.timestamp_at(partition, offset) for offset in (0, 1, 2, 99)]

    assert found == [*expected, None, None]
