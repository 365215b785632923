"""Membership: what is told when partitions come and go, and how long it lasts."""

import asyncio
import time
from typing import Any

import pytest

from eventbridge.application.errors import NotAssigned
from eventbridge.application.ports import Commit
from eventbridge.domain.delivery import Partition
from tests.integration.kafka.conftest import MakeSettings
from tests.integration.kafka.members import LIMIT, Member, joined, produce
from tests.servers.choice import SharedKafka

pytestmark = pytest.mark.real_kafka

QUICK: dict[str, Any] = {"heartbeat_interval_seconds": 0.3, "rebalance_timeout_seconds": 15.0}


async def test_a_second_member_gets_its_half_after_the_first_was_told(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    async with joined(settings(**QUICK), 4) as first:
        everything = first.partitions
        for each in everything:
            first.source.seek(each, 0)
        polling = [asyncio.create_task(first.source.poll(each, 10, 60)) for each in everything]
        await asyncio.sleep(0)

        async with joined(settings(**QUICK), 2) as second:
            halves = set(await first.owns(2)) | set(second.partitions)
            given = await asyncio.gather(*polling)
            lost = next(each for each in everything if each not in first.partitions)
            with pytest.raises(NotAssigned):
                await first.source.poll(lost, 10, 1)
            await produce(kafka.bootstrap, lost, b"for the second")
            second.source.seek(lost, 0)
            (record,) = await second.read(lost, 1)
        regained = await first.owns(4)

    assert first.told[:3] == [("assigned", everything), ("revoked", everything), first.told[2]]
    assert halves == set(everything) == set(regained)
    assert [polled.records for polled in given] == [()] * 4
    assert record.value == b"for the second"


async def test_what_is_being_revoked_may_be_committed(settings: MakeSettings, partition: Partition) -> None:
    async with joined(settings(**QUICK), 4) as first:

        async def commit(partitions: object) -> None:
            await first.source.commit({partition: Commit(42, "at revocation")})

        first.at_revocation = commit
        async with joined(settings(**QUICK), 2) as second:
            committed = await second.source.committed([partition])
        first.at_revocation = None

    assert committed == {partition: Commit(42, "at revocation")}


async def test_a_listener_that_never_returns_does_not_hold_up_the_group(settings: MakeSettings) -> None:
    async def never(partitions: object) -> None:
        await asyncio.Event().wait()

    async with joined(settings(**QUICK, revocation_limit_seconds=0.5), 4) as first:
        first.at_revocation = never

        async with joined(settings(**QUICK), 2) as second:
            halves = set(await first.owns(2)) | set(second.partitions)

    assert len(halves) == 4


async def test_a_join_waits_for_members_that_take_their_time(
    settings: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    let_go = asyncio.Event()

    async def hesitate(partitions: object) -> None:
        await let_go.wait()

    options = QUICK | {"request_timeout_seconds": 0.5}
    async with joined(settings(**options), 4) as first:
        first.at_revocation = hesitate
        second = Member(settings(**options))
        await second.source.start(second)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):  # several request timeouts
                await second.owns(2)

        let_go.set()
        halves = set(await first.owns(2)) | set(await second.owns(2))
        await second.source.stop()

    assert len(halves) == 4
    assert [what for what, _ in second.told] == ["assigned"]
    assert "RequestTimedOutError" not in caplog.text


async def test_a_pause_of_the_caller_is_not_mixed_up_with_a_rebalance(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    await produce(kafka.bootstrap, partition, b"0")
    async with joined(settings(**QUICK), 4) as first:
        first.source.seek(partition, 0)
        first.source.pause([partition])
        async with joined(settings(**QUICK), 2):
            await first.owns(2)
        await first.owns(4)

        # A new assignment is not read before it was sought, paused or not.
        polled = []
        first.source.pause([partition])
        first.source.seek(partition, 0)
        polled.append(await first.source.poll(partition, 10, 0.3))
        first.source.resume([partition])
        (record,) = await first.read(partition, 1)

    assert [each.records for each in polled] == [()]
    assert record.value == b"0"


async def test_membership_outlives_the_session_timeout_while_nobody_polls(
    kafka: SharedKafka, settings: MakeSettings, partition: Partition
) -> None:
    options = QUICK | {"session_timeout_seconds": 1.5, "stale_after_seconds": 2.0}
    async with joined(settings(**options), 4) as member:
        for each in member.partitions:
            member.source.seek(each, 0)
        member.source.pause(member.partitions)

        async with asyncio.timeout(LIMIT):
            while member.source.seconds_since_progress() < 1.0:  # noqa: ASYNC110 - time itself is waited for
                await asyncio.sleep(0.05)
            # Two thirds of the staleness limit later a question to the coordinator has counted.
            while member.source.seconds_since_progress() > 0.5:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.05)
            for _ in range(60):
                await asyncio.sleep(0.05)
        member.source.resume(member.partitions)
        await produce(kafka.bootstrap, partition, b"0")
        (record,) = await member.read(partition, 1)
        await member.source.commit({partition: Commit(1, "")})

    assert [what for what, _ in member.told] == ["assigned"]
    assert record.value == b"0"


async def test_a_stuck_loop_loses_the_membership_and_joins_again(
    settings: MakeSettings, partition: Partition
) -> None:
    options = QUICK | {"session_timeout_seconds": 1.5}
    async with joined(settings(**options), 4) as stuck:
        await asyncio.sleep(0)

        time.sleep(4)  # noqa: ASYNC251 - blocks the loop, as work that never awaits would

        regained = await stuck.owns(4, after=2)

    assert [what for what, _ in stuck.told] == ["assigned", "revoked", "assigned"]
    assert partition in regained


async def test_a_restart_under_the_same_instance_id_is_no_rebalance(
    settings: MakeSettings, partition: Partition
) -> None:
    async with joined(settings(**QUICK, instance_id="bridge-0"), 4) as other:
        restarted = Member(settings(**QUICK, instance_id="bridge-1"))
        await restarted.source.start(restarted)
        before = await restarted.owns(2)
        told = len(other.told) if len(other.partitions) == 2 else len(other.told) + 1
        await other.owns(2)

        await restarted.source.stop()
        again = Member(settings(**QUICK, instance_id="bridge-1"))
        await again.source.start(again)
        after = await again.owns(2)
        # A heartbeat would have told of a rebalance by now.
        for _ in range(20):
            await asyncio.sleep(0.05)

        assert before == after
        assert len(other.told) == told
        await again.source.stop()


async def test_leaving_gives_the_partitions_back_at_once(settings: MakeSettings) -> None:
    patient = QUICK | {"session_timeout_seconds": 45.0}
    async with joined(settings(**patient), 4) as first:
        async with joined(settings(**patient), 2):
            await first.owns(2)

        regained = await first.owns(4)

    assert len(regained) == 4
