"""A batch that cannot be read isolates its partition; the others are read as if nothing were."""

import asyncio
import time

import pytest

from eventbridge.adapters.kafka.partition_reader import UNKNOWN_TIMESTAMP
from eventbridge.application.errors import PartitionPoisoned
from eventbridge.application.ports import Record
from eventbridge.domain.delivery import Partition
from tests.integration.kafka.conftest import MakeSettings
from tests.integration.kafka.members import LIMIT, Member, joined, produce
from tests.integration.kafka.tampering import (
    CRC_OFFSET,
    Change,
    TamperingProxy,
    batch,
    flipped,
    produce_batch,
    sealed,
)
from tests.servers.choice import SharedKafka
from tests.servers.topics import create_topic

MIB = 1 << 20


@pytest.fixture
def healthy(partition: Partition) -> Partition:
    """Another partition of the topic."""
    return Partition(partition.topic, 1)


async def _until_poisoned(member: Member, partition: Partition) -> tuple[list[Record], PartitionPoisoned]:
    records: list[Record] = []
    async with asyncio.timeout(LIMIT):
        while True:
            try:
                records += (await member.source.poll(partition, 100, 1)).records
            except PartitionPoisoned as poisoned:
                return records, poisoned


async def _reads_the_other(member: Member, bootstrap: str, healthy: Partition) -> None:
    """While one partition is polled in vain, the other one is exact."""
    position = (await member.source.bounds(healthy)).end
    await produce(bootstrap, healthy, *(b"%d" % number for number in range(50)))
    member.source.seek(healthy, position)

    records = await member.read(healthy, 50, at_once=7)

    assert [record.value for record in records] == [b"%d" % number for number in range(50)]


DAMAGE: dict[str, Change] = {
    "wrong checksum": flipped(CRC_OFFSET),
    "flipped bit in a record": flipped(75),
    "unknown codec": lambda records: sealed(records[:22] + b"\x07" + records[23:]),
    "a negative length": flipped(8),
    "a length below that of a header": lambda records: records[:8] + b"\x00\x00\x00\x05" + records[12:],
    "an unknown format": flipped(16),
    "a record that is longer than the batch": lambda records: sealed(records[:61] + b"\x7e" + records[62:]),
}


@pytest.mark.parametrize("change", DAMAGE.values(), ids=DAMAGE.keys())
async def test_a_damaged_batch_isolates_its_partition(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition, healthy: Partition, change: Change
) -> None:
    await produce(kafka.bootstrap, partition, b"0", b"1", b"2")
    async with TamperingProxy(kafka.bootstrap) as proxy:
        proxy.changes[partition] = change
        async with joined(settings(bootstrap_servers=(proxy.bootstrap,)), 4) as member:
            member.source.seek(partition, 0)
            reading_other = asyncio.create_task(_reads_the_other(member, kafka.bootstrap, healthy))

            records, poisoned = await _until_poisoned(member, partition)
            await reading_other

            assert (poisoned.partition, poisoned.offset) == (partition, len(records))
            await _reads_the_other(member, kafka.bootstrap, healthy)


async def test_damage_that_passes_costs_nothing(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    await produce(kafka.bootstrap, partition, b"0", b"1", b"2")
    async with TamperingProxy(kafka.bootstrap) as proxy:
        proxy.changes[partition] = flipped(CRC_OFFSET)
        async with joined(settings(bootstrap_servers=(proxy.bootstrap,)), 4) as member:
            member.source.seek(partition, 0)
            with pytest.raises(PartitionPoisoned):
                await member.source.poll(partition, 100, LIMIT)

            del proxy.changes[partition]
            records = await member.read(partition, 3)

    assert [record.value for record in records] == [b"0", b"1", b"2"]


async def test_what_lies_before_the_damage_is_read_and_what_lies_behind_can_be(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    await produce(kafka.bootstrap, partition, b"0", b"1")
    bad = batch(b"2", b"3", headers=[("name", b"x")]).replace(b"name", b"\xff\xfe\xff\xfe", 1)
    assert await produce_batch(kafka.bootstrap, partition, sealed(bad)) == 0
    await produce(kafka.bootstrap, partition, b"4")
    async with joined(settings(), 4) as member:
        member.source.seek(partition, 0)

        before, poisoned = await _until_poisoned(member, partition)
        member.source.seek(partition, 4)
        behind = await member.read(partition, 1)

    assert [record.value for record in before] == [b"0", b"1"]
    assert (poisoned.offset, "utf-8" in str(poisoned)) == (2, True)
    assert [record.value for record in behind] == [b"4"]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_a_bomb_is_refused_and_isolates_its_partition(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition, healthy: Partition, codec: str
) -> None:
    bomb = batch(bytes(64 * MIB), codec=codec)
    limit = 16 * MIB
    if len(bomb) > MIB:  # snappy cannot pack it into what a broker takes
        bomb, limit = batch(bytes(8 * MIB), codec=codec), MIB
    assert await produce_batch(kafka.bootstrap, partition, bomb) == 0
    async with joined(settings(max_batch_bytes=limit), 4) as member:
        member.source.seek(partition, 0)

        records, poisoned = await _until_poisoned(member, partition)

        assert (records, poisoned.offset) == ([], 0)
        assert f"more than {limit} bytes" in str(poisoned)
        await _reads_the_other(member, kafka.bootstrap, healthy)


async def test_a_record_that_was_cut_for_its_size_is_reported_and_passed(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    await produce(kafka.bootstrap, partition, b"0")
    await produce(kafka.bootstrap, partition, b"1" * 1000)
    await produce(kafka.bootstrap, partition, b"2")
    first = len(batch(b"0"))

    def cut(records: bytes) -> bytes:
        """What brokers did before version 0.10.1: half of a record that is too large for the answer."""
        at = records.find(b"1" * 1000)
        if at < 0:
            return records
        return records[:first] if at > first + 20 else records[: at + 500]

    async with TamperingProxy(kafka.bootstrap) as proxy:
        proxy.changes[partition] = cut
        async with joined(settings(bootstrap_servers=(proxy.bootstrap,)), 4) as member:
            member.source.seek(partition, 0)

            records = await member.read(partition, 3)

    assert [(record.offset, record.too_large) for record in records] == [(0, False), (1, True), (2, False)]
    assert (records[1].value, records[1].timestamp) == (None, UNKNOWN_TIMESTAMP)


@pytest.mark.real_kafka
async def test_values_above_the_fetch_size_arrive(
    kafka: SharedKafka, settings: MakeSettings, group_id: str
) -> None:
    topic = f"large-{group_id}"
    create_topic(kafka.bootstrap, topic, partitions=2, config={"max.message.bytes": str(12 * MIB)})
    large, small = Partition(topic, 0), Partition(topic, 1)
    value = bytes(range(256)) * (10 * MIB // 256)
    await produce(kafka.bootstrap, large, b"before", value, b"behind", max_request_size=12 * MIB)
    await produce(kafka.bootstrap, small, *(b"small" for _ in range(20)))
    options = {"fetch_max_bytes": MIB, "max_partition_fetch_bytes": 65_536}
    async with joined(settings(topics=(topic,), **options), 2) as member:
        member.source.seek(large, 0)
        member.source.seek(small, 0)

        records, _ = await asyncio.gather(member.read(large, 3), member.read(small, 20))

    assert [len(record.value or b"") for record in records] == [6, 10 * MIB, 6]
    assert records[1].value == value


async def test_an_isolated_partition_costs_little_while_it_is_looked_at_again(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    await produce(kafka.bootstrap, partition, b"0")
    async with TamperingProxy(kafka.bootstrap) as proxy:
        proxy.changes[partition] = flipped(CRC_OFFSET)
        async with joined(settings(bootstrap_servers=(proxy.bootstrap,)), 4) as member:
            member.source.seek(partition, 0)
            await _until_poisoned(member, partition)
            fetches, began = proxy.fetches, time.monotonic()

            with pytest.raises(PartitionPoisoned):
                await member.source.poll(partition, 100, LIMIT)

            assert proxy.fetches - fetches < 20 * (1 + time.monotonic() - began)
