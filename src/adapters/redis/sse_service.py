"""`RedisSSEService`: the sink that remembers what was applied, and the streams that pages read."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Self

from ...application.errors import SinkUnavailable
from ...domain.delivery import Answer, Batch, Partition, ShardPosition
from ...domain.message import SSEMessage
from ...domain.position import Position
from ...domain.routing import Target, shard_of, user
from . import keys, proof_format
from .connect import connect
from .history import Page, StreamEntry, StreamHistory
from .layout import record_layout
from .link import Command, Link, Reply
from .script import ApplyScript, StreamLimits
from .server import ask_all, check_version, raise_refusal, read_version
from .settings import Durability, RedisSettings


class RedisSSEService:
    """An `EventSink` over Redis 6.2 or later: standalone, under Sentinels, or a Cluster.

    `source` names the log that is read (DELIVERY.md 3); it becomes part of the watermarks' names. Nothing
    is connected before `open`, which may be called again after it failed. As an async context manager it
    is opened and closed.
    """

    def __init__(self, settings: RedisSettings, source: str, *, link: Link | None = None) -> None:
        if not source or "/" in source:
            raise ValueError("a source's name must not be empty and must not contain a slash")
        self.shards: int = settings.shard_count
        self._source = source
        self._durability = settings.durability
        self._link = link or connect(settings)
        limits = StreamLimits(settings.stream_max_length, settings.stream_ttl_seconds)
        self._script = ApplyScript(self._link, source, limits)
        self._streams = StreamHistory(self._link, self.shards)

    async def open(self) -> None:
        """Check the server's version, what the durability needs, and the layout, which is written if missing.

        Raises `LayoutMismatch`, `SinkMisconfigured` and `SinkUnavailable`.
        """
        check_version(await read_version(self._link, keys.LAYOUT), self._durability)
        await record_layout(self._link, self.shards)

    async def close(self) -> None:
        """Close every connection; calls in flight fail."""
        await self._link.close()

    async def __aenter__(self) -> Self:
        try:
            await self.open()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def positions(self, partitions: Sequence[Partition]) -> Mapping[Partition, Sequence[ShardPosition]]:
        """As in `EventSink`. Writes the layout again where it is gone (a server that came back empty)."""
        await record_layout(self._link, self.shards)
        found: dict[Partition, list[ShardPosition]] = {partition: [] for partition in partitions}
        if not found:
            return found
        names = [
            name
            for partition in found
            for name in (
                keys.watermark_field(self._source, partition),
                keys.timestamp_field(self._source, partition),
            )
        ]
        for shard in range(self.shards):
            # The epoch is read last: seen too old, it would keep a later gap from changing it.
            values, epoch = await ask_all(
                self._link,
                keys.watermarks(shard),
                ("HMGET", keys.watermarks(shard), *names),
                ("HGET", keys.meta(shard), "epoch"),
            )
            seen = epoch.decode() if epoch else None
            for index, positions in enumerate(found.values()):
                watermark, proof = values[2 * index : 2 * index + 2]
                timestamp, offset = proof_format.decode(proof)
                positions.append(ShardPosition(_number(watermark), timestamp, seen, offset))
        return found

    async def apply(self, batch: Batch) -> Sequence[Answer]:
        """As in `EventSink`: one call of the script, sent once."""
        answers, replies = await self._script.apply(batch, *self._confirmation())
        self._check_confirmed(replies)
        return answers

    async def publish_event(self, user_id: str, message: SSEMessage) -> str:
        """As in `EventSink`. Raises `TargetError` for an id that can name no user."""
        target = user(user_id)
        shard = shard_of(target.id, self.shards)
        epoch, entry, replies = await self._script.publish(
            shard, target, message.event, message.data, *self._confirmation()
        )
        self._check_confirmed(replies)
        return f"{epoch}.{entry}"

    async def history(self, target: Target, after: Position | None, count: int) -> Page:
        """Return up to `count` entries after a position (None: from the first one kept) and their epoch."""
        return await self._streams.page(target, after, count)

    async def end(self, target: Target) -> Position | None:
        """Return the position after which only new entries come; None where all are new."""
        return await self._streams.end(target)

    def follow(
        self, target: Target, after: Position | None
    ) -> AsyncGenerator[tuple[Position, StreamEntry], None]:
        """Yield the entries after a position as they come, each with its own position, without end."""
        return self._streams.follow(target, after)

    def _confirmation(self) -> Sequence[Command]:
        patience = max(1, int(self._link.timeout * 1000 / 2))
        if self._durability is Durability.REPLICA:
            return (("WAIT", 1, patience),)
        if self._durability is Durability.DISK:
            return (("WAITAOF", 1, 0, patience),)
        return ()

    def _check_confirmed(self, replies: Sequence[Reply]) -> None:
        for reply in replies:
            confirmed = raise_refusal(reply)
            count = confirmed[0] if isinstance(confirmed, list) else confirmed
            if count < 1:
                raise SinkUnavailable(
                    "not_replicated", f"durability {self._durability} was not confirmed in time"
                )


def _number(value: bytes | None) -> int | None:
    return None if value is None else int(value)
