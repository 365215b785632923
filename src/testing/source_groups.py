"""What a source promises to the members of a group."""

# ruff: noqa: D102 - a test's name is its sentence

import asyncio
from collections.abc import Sequence

import pytest

from ..application.errors import NotAssigned
from ..application.ports import Commit
from ..domain.delivery import Partition
from .listener import PATIENCE_SECONDS, RecordingListener
from .log_under_test import LogUnderTest, member, only_member, record

ELSEWHERE = Partition("a-topic-that-nobody-reads", 0)


@pytest.mark.asyncio
class GroupContract:
    """A part of `EventSourceContract`."""

    async def test_knows_all_partitions_of_a_topic(self, under_test: LogUnderTest) -> None:
        async with only_member(under_test) as alone:
            partitions = await alone.source.partitions_of(under_test.partitions[0].topic)

        assert sorted(partitions) == sorted(under_test.partitions)

    async def test_has_no_commits_at_first(self, under_test: LogUnderTest) -> None:
        async with only_member(under_test) as alone:
            committed = await alone.source.committed(under_test.partitions)

        assert dict(committed) == {}

    async def test_keeps_commits_with_their_metadata(self, under_test: LogUnderTest) -> None:
        first, second = under_test.partitions[:2]
        await under_test.append(first, [record(n) for n in range(3)])
        commits = {first: Commit(2, '{"source": "main", "note": "ä"}'), second: Commit(0, "")}

        async with only_member(under_test) as alone:
            await alone.source.commit({first: Commit(1, "older"), second: Commit(0, "")})
            await alone.source.commit({first: commits[first]})
            committed = await alone.source.committed(under_test.partitions)

        assert dict(committed) == commits

    async def test_commits_outlive_the_member_that_made_them(self, under_test: LogUnderTest) -> None:
        partition = under_test.partitions[0]
        async with only_member(under_test) as earlier:
            await earlier.source.commit({partition: Commit(7, "kept")})

        async with only_member(under_test) as later:
            committed = await later.source.committed([partition])

        assert dict(committed) == {partition: Commit(7, "kept")}

    async def test_two_members_share_the_partitions_and_see_all_commits(
        self, under_test: LogUnderTest
    ) -> None:
        everything = frozenset(under_test.partitions)
        async with only_member(under_test) as first:
            await first.source.commit({partition: Commit(3, "x") for partition in everything})

            async with member(under_test) as second:
                own = await second.listener.until(bool)
                others = await first.listener.until(
                    lambda partitions: bool(partitions) and partitions < everything
                )
                committed = await second.source.committed(under_test.partitions)

        assert own | others == everything
        assert own & others == frozenset()
        assert dict(committed) == {partition: Commit(3, "x") for partition in everything}

    async def test_the_one_that_stays_gets_all_partitions(self, under_test: LogUnderTest) -> None:
        everything = frozenset(under_test.partitions)
        partition = under_test.partitions[-1]
        (offset,) = await under_test.append(partition, [record(1)])

        async with member(under_test) as stays:
            async with member(under_test) as leaves:
                await leaves.listener.until(bool)
            await stays.listener.until(lambda partitions: partitions == everything)
            stays.source.seek(partition, offset)
            records = await stays.read(partition, 1)

        assert [each.offset for each in records] == [offset]

    async def test_a_partition_may_be_committed_until_its_revocation_returns(
        self, under_test: LogUnderTest
    ) -> None:
        everything = frozenset(under_test.partitions)
        failures: list[Exception] = []

        async def commit(partitions: Sequence[Partition]) -> None:
            if not partitions:
                return
            try:
                await first.source.commit({partition: Commit(5, "last words") for partition in partitions})
            except NotAssigned as error:
                failures.append(error)

        listener = RecordingListener(on_revoked=commit)
        async with only_member(under_test, listener) as first, member(under_test) as second:
            gone = await second.listener.until(bool)
            committed = await second.source.committed(under_test.partitions)

        assert gone < everything
        assert {partition: committed.get(partition) for partition in gone} == {
            partition: Commit(5, "last words") for partition in gone
        }
        assert failures == []

    async def test_refuses_what_concerns_a_partition_that_is_not_ours(self, under_test: LogUnderTest) -> None:
        async with only_member(under_test) as alone, asyncio.timeout(PATIENCE_SECONDS):
            with pytest.raises(NotAssigned):
                await alone.source.poll(ELSEWHERE, 1, 0.1)
            with pytest.raises(NotAssigned):
                alone.source.seek(ELSEWHERE, 0)
            with pytest.raises(NotAssigned):
                await alone.source.commit({ELSEWHERE: Commit(1, "")})
            alone.source.pause([ELSEWHERE])
            alone.source.resume([ELSEWHERE])
            lag = alone.source.lag(ELSEWHERE)

        assert lag is None

    async def test_a_partition_that_went_to_another_is_refused(self, under_test: LogUnderTest) -> None:
        async with only_member(under_test) as first, member(under_test) as second:
            gone = await second.listener.until(bool)
            kept = await first.listener.until(
                lambda partitions: partitions.isdisjoint(gone) and bool(partitions)
            )

            async with asyncio.timeout(PATIENCE_SECONDS):
                for partition in gone:
                    with pytest.raises(NotAssigned):
                        await first.source.poll(partition, 1, 0.1)

        assert gone.isdisjoint(kept)
