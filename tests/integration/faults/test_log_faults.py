"""The log is not what it was, or cannot be read in one place (FAULTS.md 31 to 34)."""

from __future__ import annotations

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from eventbridge.domain.delivery import Partition
from tests.integration.faults.bridges import running
from tests.integration.faults.oracle import Load, assert_exact, epochs, eventually, judge, streams
from tests.integration.kafka.tampering import CRC_OFFSET, TamperingProxy, flipped
from tests.servers.topics import create_topic, delete_topic


@pytest.mark.real_kafka
@pytest.mark.parametrize("produced_anew", [50, 1200], ids=["shorter", "longer"])
async def test_a_topic_that_was_made_anew_while_no_bridge_ran_is_not_taken_for_the_old_one(
    load: Load, settings: dict[str, str], produced_anew: int
) -> None:
    url = settings["REDIS__URL"]
    await load.produce(400)
    async with running(settings):
        await assert_exact(load, url)
    delete_topic(load.bootstrap, load.topic)
    create_topic(load.bootstrap, load.topic, partitions=4)
    anew = Load(load.bootstrap, load.topic)
    await anew.produce(produced_anew)

    async with running(settings) as bridge:
        await bridge.until("partitions_halted", 4, reason="SOURCE_REWOUND")
        assert await published(load, url)

    async with running(settings | {"SOURCE": "anew"}) as bridge:
        await bridge.until("events_published_total", anew.accepted)
        both = streams(url)
        assert sum(len(entries) for entries in both.values()) == load.accepted + anew.accepted


@pytest.mark.real_kafka
async def test_a_topic_made_anew_is_recognised_where_the_old_one_ended_with_the_marks_of_transactions(
    load: Load, settings: dict[str, str]
) -> None:
    url = settings["REDIS__URL"]
    await load.produce_transactions(True, True, size=60)
    async with running(settings):
        await assert_exact(load, url)
    await load.produce_transactions(False, size=60)
    async with running(settings):
        await assert_exact(load, url)
    delete_topic(load.bootstrap, load.topic)
    create_topic(load.bootstrap, load.topic, partitions=4)
    await Load(load.bootstrap, load.topic).produce(1200)

    async with running(settings) as bridge:
        await bridge.until("partitions_halted", 4, reason="SOURCE_REWOUND")

        assert await published(load, url)


async def published(load: Load, url: str) -> bool:
    """Whether the streams hold what the load produced, and nothing else."""
    verdict = judge(load, url)
    return not (verdict.missing or verdict.duplicates or verdict.unknown)


@pytest.mark.real_kafka
async def test_a_topic_that_is_made_anew_under_a_running_bridge_is_not_taken_for_the_old_one(
    load: Load, settings: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    url = settings["REDIS__URL"]
    await load.produce(400)
    async with running(settings) as bridge:
        await assert_exact(load, url)

        delete_topic(load.bootstrap, load.topic)
        create_topic(load.bootstrap, load.topic, partitions=4)
        # A log that is filled beyond the position before the next fetch is not noticed (DELIVERY.md, 6).
        await bridge.until("partitions_halted", 4, reason="SOURCE_REWOUND")
        await Load(load.bootstrap, load.topic).produce(1200)
        await eventually(
            lambda: sum("has the timestamp" in record.message for record in caplog.records) == 4,
            "the records in the old ones' places to be told from them",
        )

        assert await published(load, url)
        assert bridge.number("partitions_halted", reason="SOURCE_REWOUND") == 4


def delete_records(load: Load, partition: int, before: int) -> None:
    """As retention does."""
    admin = AdminClient({"bootstrap.servers": load.bootstrap})
    [done] = admin.delete_records([TopicPartition(load.topic, partition, before)]).values()
    done.result(20)


@pytest.mark.real_kafka
async def test_what_retention_took_before_it_was_read_is_counted_and_halts_one_partition(
    load: Load, settings: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    url = settings["REDIS__URL"]
    await load.produce(400)
    async with running(settings):
        await assert_exact(load, url)
    seen = load.ends[0]
    await load.produce(800)
    delete_records(load, 0, seen + 100)

    async with running(settings) as bridge:
        await bridge.until("partitions_halted", 1, reason="RETENTION_LOSS")
        await assert_exact(load, url, but=[0])
        assert bridge.number("events_dropped_total", reason="retention") == 0

    async with running(settings | {"ON_RETENTION_LOSS": "continue"}) as bridge:
        await bridge.until("events_dropped_total", 100, reason="retention")
        lost = {
            whose
            for whose, offset in load.offsets.items()
            if whose[1][0] == 0 and seen <= offset < seen + 100
        }
        await eventually(lambda: judge(load, url).missing == lost, "all but what is gone to be there")
        assert not judge(load, url).duplicates
        assert bridge.number("events_dropped_total", reason="retention") == 100
    assert f"offsets {seen} to {seen + 99}" in caplog.text


@pytest.mark.real_kafka
async def test_only_committed_transactions_arrive_and_marks_are_no_gaps(
    load: Load, settings: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    url = settings["REDIS__URL"]
    await load.produce(100)
    await load.produce_transactions(True, False, False, True)
    async with running(settings) as bridge:
        await assert_exact(load, url)
        before = epochs(url)
        await load.produce_transactions(False, True, False)
        await assert_exact(load, url)
        await load.produce(50)
        await assert_exact(load, url)
        await load.produce_transactions(False)
        await assert_exact(load, url)
        assert bridge.bridge.health().ready

    async with running(settings) as bridge:
        await load.produce(50)
        await assert_exact(load, url)
        assert bridge.bridge.health().ready
        assert bridge.number("events_duplicates_total") == 0
    assert epochs(url) == before
    assert "rolled back" not in caplog.text


async def test_a_damaged_batch_isolates_its_partition_and_the_others_are_exact(
    load: Load, settings: dict[str, str]
) -> None:
    url = settings["REDIS__URL"]
    damaged = Partition(load.topic, 0)
    async with TamperingProxy(load.bootstrap) as proxy:
        settings |= {"KAFKA__BOOTSTRAP_SERVERS": proxy.bootstrap}
        async with running(settings) as bridge:
            await load.produce(200)
            await assert_exact(load, url)
            proxy.changes[damaged] = flipped(CRC_OFFSET)
            await load.produce(600)

            await bridge.until("partitions_halted", 1, reason="POISONED")
            await assert_exact(load, url, but=[0])
            await load.produce(300)
            await assert_exact(load, url, but=[0])
            assert f"{damaged}: POISONED" in str(bridge.bridge.health())

            proxy.changes.clear()
            await assert_exact(load, url)
            assert not bridge.halted("POISONED")
