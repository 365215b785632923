"""Kafka as an event source."""

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from ...application.errors import NotAssigned, SourceUnavailable
from ...application.health import Check
from ...application.ports import AssignmentListener, Commit, LogBounds, Polled
from ...domain.delivery import Partition
from .bounded_questions import answer, known_topic
from .client_manager import KafkaClientManager
from .consumer_watch import ConsumerWatch
from .foreign_errors import described, translated
from .inside_aiokafka import close, hand_out_plainly, stored_commits
from .partition_reader import PartitionReader
from .unbroken_start import started

log = logging.getLogger(__name__)


class KafkaEventSource:
    """The `EventSource` port on aiokafka: one member of a consumer group.

    Repairs itself: a consumer that shows no sign of progress although brokers can be reached is closed,
    its partitions are revoked, and a new one joins. `seconds_since_progress` is for health checks.
    """

    def __init__(self, clients: KafkaClientManager) -> None:
        self._clients = clients
        self._settings = clients.settings
        self._consumer: AIOKafkaConsumer | None = None
        self._listener: AssignmentListener | None = None
        self._readers: dict[Partition, PartitionReader] = {}
        self._assignments = 0
        self._rebalancing = False
        self._told: set[asyncio.Task[None]] = set()
        asked = [Partition(self._settings.topics[0], 0)]
        self._watch = ConsumerWatch(
            self,
            asked,
            stale_after_seconds=self._settings.stale_after_seconds,
            rebalance_limit_seconds=self._settings.rebalance_timeout_seconds,
        )

    async def start(self, listener: AssignmentListener) -> None:
        """Join the group; may be tried again after `SourceUnavailable` and `SourceMisconfigured`."""
        if self._consumer is not None:
            raise RuntimeError("the source was started already")
        self._listener = listener
        await self.join()
        self._watch.start()

    async def stop(self) -> None:
        """Leave the group and close; partitions are not revoked by this."""
        await self._watch.stop()
        await self._leave()
        for task in self._told:
            task.cancel()
        self._listener = None

    async def poll(
        self,
        partition: Partition,
        max_records: int,
        wait_seconds: float,
    ) -> Polled:
        """As the port says; also raises `SourceMisconfigured` once Kafka denies the topic or group."""
        polled = await self._reader(partition).poll(max_records, wait_seconds)
        if polled.records:
            self._watch.progressed()
        return polled

    def seek(self, partition: Partition, offset: int) -> None:
        """Read on at `offset`."""
        self._reader(partition).seek(offset)

    def pause(self, partitions: Sequence[Partition]) -> None:
        """Fetch nothing of these; partitions that are not ours any more are passed over."""
        for reader in self._ours(partitions):
            reader.pause()

    def resume(self, partitions: Sequence[Partition]) -> None:
        """Fetch again; partitions that are not ours any more are passed over."""
        for reader in self._ours(partitions):
            reader.resume()

    async def commit(self, commits: Mapping[Partition, Commit]) -> None:
        """Keep these positions, within a limit of time."""
        consumer, assignments = self._joined(), self._assignments
        for partition in commits:
            if partition not in self._readers:
                raise NotAssigned(partition)
        kept = {TopicPartition(*partition): (it.offset, it.metadata) for partition, it in commits.items()}
        try:
            async with asyncio.timeout(self._settings.commit_limit_seconds):
                await consumer.commit(kept)
        except TimeoutError:
            raise SourceUnavailable("committing: no answer in time") from None
        except IllegalStateError as error:
            raise NotAssigned(next(iter(commits))) from error
        except CommitFailedError as error:
            raise SourceUnavailable("committing: the group has moved on") from error
        except KafkaError as error:
            raise translated(error, "committing") from error
        if assignments != self._assignments:
            # It was sent in the name of a later generation: whether it counts nobody knows.
            raise NotAssigned(next(iter(commits)))
        self._watch.progressed()

    async def committed(self, partitions: Sequence[Partition]) -> Mapping[Partition, Commit]:
        """The group's commits, of partitions that have one."""
        asked = [TopicPartition(*partition) for partition in partitions]
        found = await answer(
            self._settings.request_timeout_seconds,
            stored_commits(self._joined(), asked),
            "asking for the group's commits",
        )
        return {Partition(*tp): Commit(it.offset, it.metadata) for tp, it in found.items()}

    async def partitions_of(self, topic: str) -> Sequence[Partition]:
        """All partitions of a topic; raises `SourceMisconfigured` for one that is not there."""
        consumer = self._joined()
        if consumer.partitions_for_topic(topic) is None:
            await known_topic(consumer, topic)
        numbers: Iterable[int] = consumer.partitions_for_topic(topic) or ()
        return [Partition(topic, number) for number in sorted(numbers)]

    async def bounds(self, partition: Partition) -> LogBounds:
        """The first offset, and the end of what may be read: that of the last finished transaction."""
        consumer, tp = self._joined(), TopicPartition(*partition)
        doing = f"asking for the bounds of {partition}"
        limit = self._settings.request_timeout_seconds
        # One after the other: asked for together, the log could grow or be cut between the answers.
        start = await answer(limit, consumer.beginning_offsets([tp]), doing)
        end = await answer(limit, consumer.end_offsets([tp]), doing)
        return LogBounds(start[tp], end[tp])

    async def timestamp_at(self, partition: Partition, offset: int) -> int | None:
        """The timestamp of the record at exactly `offset`. Raises `PartitionPoisoned`."""
        reader = self._reader(partition)
        bounds = await self.bounds(partition)
        return await reader.timestamp_at(offset, bounds, self._settings.request_timeout_seconds)

    def lag(self, partition: Partition) -> int | None:
        """Records between the position and the log's end as of the last fetch."""
        reader = self._readers.get(partition)
        return reader.lag() if reader else None

    def seconds_since_progress(self) -> float:
        """Since brokers last answered a fetch, a commit or a question, or partitions were assigned.

        Grows above `stale_after_seconds` only if rebuilding the consumer did not help: Kafka is away, or
        this process should be restarted.
        """
        return self._watch.seconds_since_progress()

    def check(self) -> Check:
        """Whether Kafka answers: polls end without records both where there are none and where it is away."""
        quiet = self.seconds_since_progress()
        return Check(
            "kafka",
            quiet <= self._settings.stale_after_seconds,
            f"the last sign of it came {quiet:.0f} s ago",
        )

    async def join(self) -> None:
        """Build a consumer and have it join the group; leaves nothing open where that fails."""
        consumer = self._clients.consumer()
        try:
            async with asyncio.timeout(self._settings.start_limit_seconds):
                await started(consumer.start())
                for topic in self._settings.topics:
                    await known_topic(consumer, topic)
                await stored_commits(consumer, [TopicPartition(self._settings.topics[0], 0)])
        except (KafkaError, OSError) as error:
            await close(consumer, self._settings.stop_limit_seconds)
            cause = await self._clients.why_unreachable()
            raise translated(cause or error, "joining the group") from error
        except BaseException:
            await close(consumer, self._settings.stop_limit_seconds)
            raise
        hand_out_plainly(consumer)
        self._consumer = consumer
        self._rebalancing = True
        consumer.subscribe(list(self._settings.topics), listener=_Rebalance(self, consumer))

    async def rejoin(self) -> None:
        """Give up the consumer, with its partitions, and join with a new one."""
        held = list(self._readers)
        self._revoke_all()
        if held and self._listener is not None:
            await self._tell(self._listener.revoked(held))
        await self._leave()
        await self.join()

    async def brokers_answer(self) -> bool:
        """Whether one of the bootstrap servers can be reached and lets us in."""
        return await self._clients.why_unreachable() is None

    @property
    def consumer(self) -> AIOKafkaConsumer | None:
        """The present consumer; None between two."""
        return self._consumer

    @property
    def readers(self) -> Iterable[PartitionReader]:
        """Those of the partitions that are ours."""
        return self._readers.values()

    @property
    def rebalancing(self) -> bool:
        """Whether we wait for the group to assign partitions."""
        return self._rebalancing

    async def revoked(self, consumer: AIOKafkaConsumer) -> None:
        """The group is about to assign anew; called by `_Rebalance` before anything else runs."""
        if consumer is not self._consumer:
            return
        self._rebalancing = True
        held = list(self._readers)
        self._revoke_all()
        if held and self._listener is not None:
            await self._tell(self._listener.revoked(held))
        self._readers = {}

    async def assigned(self, consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> None:
        """The group has assigned; called by `_Rebalance`."""
        if consumer is not self._consumer:
            return
        self._revoke_all()
        self._assignments += 1
        ours = [Partition(*tp) for tp in sorted(partitions)]
        self._readers = {each: PartitionReader(consumer, each, self._watch.troubled) for each in ours}
        self._rebalancing = False
        self._watch.progressed()
        if self._listener is not None:
            await self._tell(self._listener.assigned(ours))

    def _revoke_all(self) -> None:
        for reader in self._readers.values():
            reader.revoke()

    async def _leave(self) -> None:
        self._revoke_all()
        consumer, self._consumer = self._consumer, None
        self._readers = {}
        if consumer is not None:
            await close(consumer, self._settings.stop_limit_seconds)

    async def _tell(self, telling: Awaitable[None]) -> None:
        """Wait for the listener, but not for ever: the group goes on without a member that is late."""
        task = asyncio.ensure_future(telling)
        self._told.add(task)
        task.add_done_callback(self._told.discard)
        done, _ = await asyncio.wait({task}, timeout=self._settings.revocation_limit_seconds)
        if not done:
            log.error("the listener took longer than %g s", self._settings.revocation_limit_seconds)
        elif not task.cancelled() and (error := task.exception()) is not None:
            log.error("the listener failed: %s", described(error), exc_info=error)

    def _joined(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise SourceUnavailable("not joined to the group")
        return self._consumer

    def _reader(self, partition: Partition) -> PartitionReader:
        reader = self._readers.get(partition)
        if reader is None or reader.revoked:
            raise NotAssigned(partition)
        return reader

    def _ours(self, partitions: Sequence[Partition]) -> list[PartitionReader]:
        readers = (self._readers.get(partition) for partition in partitions)
        return [reader for reader in readers if reader is not None and not reader.revoked]


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Hands aiokafka's calls on; it calls at once when it begins to reassign, no poll can run between."""

    def __init__(self, source: KafkaEventSource, consumer: AIOKafkaConsumer) -> None:
        self._source = source
        self._consumer = consumer

    # aiokafka awaits what its own listener does not declare to be awaited.
    async def on_partitions_revoked(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, revoked: Iterable[TopicPartition]
    ) -> None:
        await self._source.revoked(self._consumer)

    async def on_partitions_assigned(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, assigned: Iterable[TopicPartition]
    ) -> None:
        await self._source.assigned(self._consumer, assigned)
