"""Brokers that are away, come back, or fall silent; and starts that cannot succeed."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

import pytest

from eventbridge.adapters.kafka.settings import KafkaSettings
from eventbridge.application.errors import NotAssigned, SourceMisconfigured, SourceUnavailable
from eventbridge.application.ports import Commit, Polled
from eventbridge.domain.delivery import Partition
from tests.integration.kafka.conftest import MakeSettings
from tests.integration.kafka.members import LIMIT, Member, joined, produce
from tests.integration.kafka.tampering import TamperingProxy
from tests.servers import KafkaServer
from tests.servers.choice import SharedKafka

QUICK: dict[str, Any] = {
    "heartbeat_interval_seconds": 0.3,
    "session_timeout_seconds": 6.0,
    "rebalance_timeout_seconds": 11.0,
    "request_timeout_seconds": 2.0,
    "commit_limit_seconds": 1.0,
    "stop_limit_seconds": 1.0,
}


async def test_a_start_without_brokers_fails_promptly_and_may_be_repeated(
    kafka: SharedKafka, settings: MakeSettings
) -> None:
    member = Member(settings(bootstrap_servers=("127.0.0.1:1",)))
    began = time.monotonic()

    for _ in range(2):
        with pytest.raises(SourceUnavailable, match="joining the group"):
            await member.source.start(member)

    assert time.monotonic() - began < 5
    await member.source.stop()


async def test_one_of_the_bootstrap_servers_is_enough(kafka: SharedKafka, settings: MakeSettings) -> None:
    async with joined(settings(bootstrap_servers=("127.0.0.1:1", kafka.bootstrap)), 4) as member:
        assert len(member.partitions) == 4


@pytest.mark.real_kafka
async def test_a_topic_that_is_not_there_is_ours_to_mend(settings: MakeSettings) -> None:
    member = Member(settings(topics=("no.such.topic",)))

    with pytest.raises(SourceMisconfigured, match=r"no\.such\.topic") as refused:
        await member.source.start(member)

    assert refused.value.reason == "unknown_topic"


async def test_a_silent_broker_makes_polls_empty_and_commits_fail_and_then_all_goes_on(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    await produce(kafka.bootstrap, partition, b"0")
    async with (
        TamperingProxy(kafka.bootstrap) as proxy,
        joined(settings(bootstrap_servers=(proxy.bootstrap,), **QUICK), 4) as member,
    ):
        member.source.seek(partition, 0)
        await member.read(partition, 1)
        proxy.freeze()

        empty = await member.source.poll(partition, 10, 0.5)
        with pytest.raises(SourceUnavailable):
            await member.source.commit({partition: Commit(1, "")})
        with pytest.raises(SourceUnavailable):
            await member.source.committed([partition])
        with pytest.raises(SourceUnavailable):
            await member.source.bounds(partition)

        proxy.thaw()
        await produce(kafka.bootstrap, partition, b"1")
        (record,) = await member.read(partition, 1)
        async with asyncio.timeout(LIMIT):
            while not await _committed(member, partition):
                pass

    assert empty == Polled((), 1)
    assert record.value == b"1"


async def _committed(member: Member, partition: Partition) -> bool:
    try:
        await member.source.commit({partition: Commit(2, "")})
    except SourceUnavailable:
        return False
    return True


async def test_a_stop_is_quick_although_the_broker_is_silent(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    async with (
        TamperingProxy(kafka.bootstrap) as proxy,
        joined(settings(bootstrap_servers=(proxy.bootstrap,), **QUICK), 4) as member,
    ):
        member.source.seek(partition, 0)
        polling = asyncio.create_task(member.source.poll(partition, 10, 60))
        await asyncio.sleep(0)
        proxy.freeze()
        began = time.monotonic()

        await member.source.stop()

        assert time.monotonic() - began < 4
        assert await polling == Polled((), 0)


async def test_connections_that_break_cost_nothing(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    await produce(kafka.bootstrap, partition, *(b"%d" % number for number in range(300)))
    async with (
        TamperingProxy(kafka.bootstrap) as proxy,
        joined(settings(bootstrap_servers=(proxy.bootstrap,), **QUICK), 4) as member,
    ):
        member.source.seek(partition, 0)
        offsets: list[int] = []
        async with asyncio.timeout(LIMIT):
            while len(offsets) < 300:
                polled = await member.source.poll(partition, 100, 1)
                offsets += [record.offset for record in polled.records]
                if polled.records:
                    proxy.cut()
                    member.source.seek(partition, offsets[-1] + 1)

    assert offsets == list(range(300))


async def test_a_consumer_without_progress_is_replaced(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition, caplog: pytest.LogCaptureFixture
) -> None:
    await produce(kafka.bootstrap, partition, b"0")
    options = QUICK | {"stale_after_seconds": 1.5, "request_timeout_seconds": 30.0}
    async with (
        TamperingProxy(kafka.bootstrap) as proxy,
        joined(settings(bootstrap_servers=(proxy.bootstrap,), **options), 4) as member,
    ):
        member.source.seek(partition, 0)
        await member.read(partition, 1)
        polling = asyncio.create_task(member.source.poll(partition, 10, 60))

        # Connections that were open stay so and are silent for ever; new ones work.
        proxy.strand()
        await member.owns(4, after=2)
        polled = await polling
        member.source.seek(partition, 0)
        (record,) = await member.read(partition, 1)

    assert "the consumer is replaced: no sign of progress" in caplog.text
    assert polled.records == ()
    assert [what for what, _ in member.told[:3]] == ["assigned", "revoked", "assigned"]
    assert record.value == b"0"


async def test_a_restarted_broker_is_read_on_from_where_it_ended(
    kafka_server: Callable[..., KafkaServer], group_id: str
) -> None:
    broker = await asyncio.to_thread(kafka_server)
    await asyncio.to_thread(broker.create_topic, "events", partitions=2)
    partition = Partition("events", 0)
    await produce(broker.bootstrap, partition, b"0")
    settings = KafkaSettings(
        bootstrap_servers=(broker.bootstrap,), topics=("events",), group_id=group_id, **QUICK
    )
    async with joined(settings, 2) as member:
        member.source.seek(partition, 0)
        await member.read(partition, 1)

        await asyncio.to_thread(broker.kill)
        assert (await member.source.poll(partition, 10, 0.5)).records == ()
        await asyncio.to_thread(broker.start)
        await produce(broker.bootstrap, partition, b"1")
        async with asyncio.timeout(40):
            record = None
            while record is None:
                # The group may or may not have had to assign anew.
                await member.owns(2)
                with contextlib.suppress(NotAssigned):
                    member.source.seek(partition, 1)
                    polled = await member.source.poll(partition, 10, 2)
                    record = next(iter(polled.records), None)
                await asyncio.sleep(0)

    assert record.value == b"1"
