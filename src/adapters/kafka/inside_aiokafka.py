"""What aiokafka 0.14 can do but does not offer: all uses of its inner parts are here."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, OffsetAndMetadata, TopicPartition


async def stored_commits(
    consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]
) -> Mapping[TopicPartition, OffsetAndMetadata]:
    """The group's commits with their metadata, which `AIOKafkaConsumer.committed` leaves out.

    Asks without end while the coordinator is away: bound it.
    """
    coordinator: Any = consumer._coordinator
    found: Mapping[TopicPartition, OffsetAndMetadata] = await coordinator.fetch_committed_offsets(
        list(partitions)
    )
    return found


def raise_coordination_error(consumer: AIOKafkaConsumer) -> None:
    """Raise what the group's coordination failed with.

    It goes no further until somebody has looked, and only polls look; here this is done while none runs.
    """
    coordinator: Any = consumer._coordinator
    coordinator.check_errors()


def fetching_ended(consumer: AIOKafkaConsumer) -> bool:
    """Whether the task that fetches is gone: nobody is told, polls just stay empty."""
    fetcher: Any = consumer._fetcher
    return bool(fetcher.error_future.done())


def hand_out_plainly(consumer: AIOKafkaConsumer) -> None:
    """Have a consumer, once it is started, give what it fetches as the decoder's own records.

    They have the offset, timestamp, key, value and headers of a `ConsumerRecord`; building those would
    cost as much as decoding does.
    """
    fetcher: Any = consumer._fetcher
    fetcher._records = _Fetched(fetcher._records)


class _Fetched(OrderedDict[TopicPartition, Any]):
    """What was fetched, by partition: records, or an error."""

    def __setitem__(self, partition: TopicPartition, fetched: Any) -> None:  # noqa: ANN401 - aiokafka is untyped
        records = getattr(fetched, "_partition_records", None)
        if records is not None:
            records._consumer_record = _as_decoded
        super().__setitem__(partition, fetched)


def _as_decoded(_partition: TopicPartition, record: Any) -> Any:  # noqa: ANN401 - aiokafka is untyped
    return record


async def close(consumer: AIOKafkaConsumer, limit_seconds: float) -> None:
    """Stop a consumer; after the limit tear it down without its help."""
    stopping = asyncio.create_task(consumer.stop())
    _, late = await asyncio.wait({stopping}, timeout=limit_seconds)
    # aiokafka lets the cancellation of its own tasks out of `stop`, half-way, where a fetch had failed.
    if not late and not stopping.cancelled() and stopping.exception() is None:
        return
    parts = [stopping]
    for name in ("_coordination_task", "_heartbeat_task", "_commit_refresh_task", "_reset_committed_task"):
        task = getattr(consumer._coordinator, name, None)
        if task is not None:
            parts.append(task)
    for task in parts:
        task.cancel()
    await asyncio.wait(parts, timeout=1)
    _look_at(parts)
    parts = [asyncio.create_task(consumer._client.close())]
    if consumer._fetcher is not None:
        parts.append(asyncio.create_task(consumer._fetcher.close()))
    await asyncio.wait(parts, timeout=1)
    _look_at(parts)


def _look_at(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Take note of how tasks ended, so that asyncio does not complain that nobody did."""
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()
