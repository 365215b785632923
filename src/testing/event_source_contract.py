"""The contract of an `EventSource`."""

# ruff: noqa: D102 - a test's name is its sentence

import asyncio
from typing import ClassVar

import pytest

from .cancellation import cancelled_at
from .listener import RecordingListener
from .log_under_test import LogUnderTest, member, only_member
from .source_groups import GroupContract
from .source_reading import ReadingContract


@pytest.mark.asyncio
class EventSourceContract(ReadingContract, GroupContract):
    """Subclass it, name the subclass `Test…`, and give a fixture `under_test`: a `LogUnderTest`.

    The fixture gives each test an empty topic and a group of its own. Not held against the contract,
    since it takes faults of the servers: `SourceUnavailable`, `SourceMisconfigured`, `PartitionPoisoned`
    and records that are too large.
    """

    stop_seconds: ClassVar[float] = 10.0
    """How long a stop may take."""
    most_suspensions: ClassVar[int] = 12
    """At how many of their waits, from the first, start and stop are cancelled."""

    @pytest.fixture
    def under_test(self) -> LogUnderTest:
        """The log whose sources are held against the contract."""
        raise NotImplementedError("EventSourceContract needs a fixture `under_test`")

    async def test_can_be_stopped_twice(self, under_test: LogUnderTest) -> None:
        async with only_member(under_test) as alone:
            async with asyncio.timeout(self.stop_seconds):
                await alone.source.stop()
            async with asyncio.timeout(self.stop_seconds):
                await alone.source.stop()

    async def test_can_be_stopped_without_a_start(self, under_test: LogUnderTest) -> None:
        source = under_test.source()

        async with asyncio.timeout(self.stop_seconds):
            await source.stop()

    async def test_a_stop_right_after_the_start_leaves_the_group(self, under_test: LogUnderTest) -> None:
        source = under_test.source()
        await source.start(RecordingListener())

        async with asyncio.timeout(self.stop_seconds):
            await source.stop()

        async with only_member(under_test) as next_one:
            assert next_one.listener.partitions == frozenset(under_test.partitions)

    async def test_a_start_cancelled_while_it_waits_leaves_nothing_behind(
        self, under_test: LogUnderTest
    ) -> None:
        suspension, suspended = 1, True

        while suspended and suspension <= self.most_suspensions:
            source = under_test.source()
            suspended = await cancelled_at(suspension, source.start(RecordingListener()))
            async with asyncio.timeout(self.stop_seconds):
                await source.stop()
            suspension += 1

        async with only_member(under_test) as next_one:
            assert next_one.listener.partitions == frozenset(under_test.partitions)

    async def test_a_stop_cancelled_while_it_waits_can_be_made_again(self, under_test: LogUnderTest) -> None:
        suspension, suspended = 1, True

        while suspended and suspension <= self.most_suspensions:
            async with member(under_test) as leaving:
                suspended = await cancelled_at(suspension, leaving.source.stop())
                async with asyncio.timeout(self.stop_seconds):
                    await leaving.source.stop()
            suspension += 1

        async with only_member(under_test) as next_one:
            assert next_one.listener.partitions == frozenset(under_test.partitions)
