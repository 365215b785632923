"""Pass over a part of a partition on purpose: what an operator decides about a batch that nobody can read."""

from ..domain.delivery import Applied, Batch, Mark, Partition, ShardPosition
from ..domain.errors import EventBridgeError
from .ports import EventSink


class CannotSkip(EventBridgeError):
    """There is nothing to pass over, or nobody who would remember it."""


async def skip(sink: EventSink, partition: Partition, upto: int) -> range:
    """Count the partition's records up to and including the offset `upto` as applied, in every shard.

    Answers the offsets that may be missing in some stream from now on. A bridge that has halted the
    partition goes on behind them by itself. May be repeated. Raises `CannotSkip`, `SinkUnavailable` and
    `SinkMisconfigured`.
    """
    positions = await sink.positions((partition,))
    if positions is None:
        raise CannotSkip("the sink remembers no positions: set the consumer group's offset instead")
    watermarks = [known.watermark for known in positions[partition] if known.watermark is not None]
    if len(watermarks) < len(positions[partition]):
        raise CannotSkip(f"{partition} was never read under this source's name, or Redis has forgotten it")
    lowest = min(watermarks)
    if upto <= lowest:
        raise CannotSkip(f"{partition} was applied up to offset {lowest} already")
    for shard, known in enumerate(positions[partition]):
        (answer,) = await sink.apply(Batch(shard, (_raised(partition, known, upto),)))
        if not isinstance(answer, Applied):
            raise CannotSkip(f"shard {shard} changed meanwhile; try again")
    return range(lowest + 1, upto + 1)


def _raised(partition: Partition, known: ShardPosition, upto: int) -> Mark:
    upto = max(upto, known.watermark or 0)
    record = known.known_record
    if record is None:
        return Mark(partition, known.watermark, upto, None, known.epoch)
    return Mark(partition, known.watermark, upto, record.timestamp, known.epoch, record.offset)
