"""Watches over the consumer: aiokafka can get stuck without a sign, and then only a new one helps."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from ...application.errors import SourceMisconfigured, SourceUnavailable
from ...application.ports import Commit
from ...domain.delivery import Partition
from .foreign_errors import described, refusal
from .inside_aiokafka import fetching_ended, raise_coordination_error
from .partition_reader import PartitionReader

log = logging.getLogger(__name__)

LOOKS_PER_LIMIT = 60
"""How often it looks in the time after which a consumer counts as stale."""

FIRST_REPAIR_PAUSE_SECONDS = 1.0
LONGEST_REPAIR_PAUSE_SECONDS = 30.0


class Repairable(Protocol):
    """What the watch needs of a source."""

    @property
    def consumer(self) -> AIOKafkaConsumer | None: ...  # noqa: D102 - see KafkaEventSource

    @property
    def readers(self) -> Iterable[PartitionReader]: ...  # noqa: D102 - see KafkaEventSource

    @property
    def rebalancing(self) -> bool: ...  # noqa: D102 - see KafkaEventSource

    async def committed(self, partitions: Sequence[Partition]) -> Mapping[Partition, Commit]: ...  # noqa: D102 - see KafkaEventSource

    async def brokers_answer(self) -> bool: ...  # noqa: D102 - see KafkaEventSource

    async def rejoin(self) -> None: ...  # noqa: D102 - see KafkaEventSource


class ConsumerWatch:
    """Knows when the consumer last made progress, and has it replaced where it makes none.

    Progress is an answer to a fetch, records, a commit, an assignment. Where no poll waits for records
    and the group is at rest, there may rightly be none of these for hours; then an answer to a question
    to the group's coordinator is asked for, and counts.
    """

    def __init__(
        self,
        source: Repairable,
        question: Sequence[Partition],
        *,
        stale_after_seconds: float,
        rebalance_limit_seconds: float,
    ) -> None:
        """`question`: the partitions whose commits are asked for where there is nothing else to see.

        A rebalance may take its limit in addition: a consumer that was replaced counts as a member until
        its session ends, and the new one has to wait for that.
        """
        self._source = source
        self._question = question
        self._stale_after = stale_after_seconds
        self._rebalance_limit = rebalance_limit_seconds
        self._progress_at = self._repaired_at = time.monotonic()
        self._fetched_at: dict[Partition, int] = {}
        self._broken: KafkaError | None = None
        self._repair_pause = FIRST_REPAIR_PAUSE_SECONDS
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Watch until stopped."""
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """End; nothing is repaired any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    def progressed(self) -> None:
        """Something went well."""
        self._progress_at = time.monotonic()
        self._repair_pause = FIRST_REPAIR_PAUSE_SECONDS

    def troubled(self, error: KafkaError) -> None:
        """A poll met an error that is the consumer's, not the partition's."""
        if refusal(error) is None and self._broken is None:
            self._broken = error

    def seconds_since_progress(self) -> float:
        """How long ago that was."""
        return time.monotonic() - self._progress_at

    async def _watch(self) -> None:
        pause = self._stale_after / LOOKS_PER_LIMIT
        while True:
            await asyncio.sleep(pause)
            try:
                await self._look()
            except Exception:
                log.exception("watching over the consumer failed")

    async def _look(self) -> None:
        consumer = self._source.consumer
        if consumer is None:
            await self._repair("there is none")
            return
        self._note_fetches()
        try:
            raise_coordination_error(consumer)
        except KafkaError as error:
            log.error("the group's coordination failed: %s", described(error))
            self.troubled(error)
        if self._broken is not None or fetching_ended(consumer):
            await self._repair(described(self._broken) if self._broken else "it does not fetch any more")
            return
        quiet = time.monotonic() - max(self._progress_at, self._repaired_at)
        if quiet > self._stale_after / 2 and self._at_rest():
            with contextlib.suppress(SourceUnavailable, SourceMisconfigured):
                await self._source.committed(self._question)
                if self._at_rest():
                    self.progressed()
        elif quiet > self._stale_after + (self._rebalance_limit if self._source.rebalancing else 0):
            await self._repair(f"no sign of progress for {quiet:.0f} s")

    def _at_rest(self) -> bool:
        return not self._source.rebalancing and not any(reader.waiting for reader in self._source.readers)

    def _note_fetches(self) -> None:
        seen = {
            reader.partition: at for reader in self._source.readers if (at := reader.fetched_at()) is not None
        }
        if any(self._fetched_at.get(partition) != at for partition, at in seen.items()):
            self.progressed()
        self._fetched_at = seen

    async def _repair(self, why: str) -> None:
        """Replace the consumer, if brokers answer: while none does, the old one is as good as a new one."""
        if await self._source.brokers_answer():
            log.warning("the consumer is replaced: %s", why)
            self._broken = None
            try:
                await self._source.rejoin()
            except (SourceUnavailable, SourceMisconfigured) as error:
                log.error("replacing the consumer failed: %s", error)
            else:
                self._repaired_at = time.monotonic()
        await asyncio.sleep(self._repair_pause)
        self._repair_pause = min(2 * self._repair_pause, LONGEST_REPAIR_PAUSE_SECONDS)
