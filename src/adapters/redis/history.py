"""Reading a target's stream: pages of what is kept, its end, and what comes after."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec

from ...domain.position import START, Position, StreamId
from ...domain.routing import Target, shard_of
from . import keys
from .link import Link
from .server import ask, ask_all, raise_refusal

_LARGEST_SEQUENCE = 2**64 - 1


class StreamEntry(msgspec.Struct, frozen=True, gc=False):
    """One entry as it is kept."""

    id: StreamId
    prev: StreamId
    """The id of the entry before it, `0-0` for the first: what proves continuity (DELIVERY.md 5.2)."""
    timestamp: int | None
    """Kafka's, or for an entry without a record Redis': milliseconds since the epoch."""
    event: str
    data: bytes
    """The JSON exactly as it goes to the page."""
    traceparent: str | None


class Page(msgspec.Struct, frozen=True):
    """Entries and the epoch under which they lie, read together."""

    epoch: str | None
    """None where the shard was never written."""
    since: int | None
    """When the epoch began, milliseconds of Redis' clock."""
    entries: Sequence[StreamEntry]

    def position(self, entry: StreamEntry) -> Position:
        """The position just after one of the entries."""
        return Position(self.epoch or "", entry.id)


class StreamHistory:
    """The streams of all targets, for readers. Calls raise `SinkUnavailable` and `SinkMisconfigured`."""

    def __init__(self, link: Link, shards: int) -> None:
        self._link = link
        self._shards = shards

    async def page(self, target: Target, after: Position | None, count: int) -> Page:
        """Return up to `count` entries after a position, or from the first one kept on.

        The position's epoch is not looked at: whether entries follow it without a hole is for the
        caller to prove, with the page's.
        """
        shard = self._shard(target)
        start = f"({after.id}" if after and after.id != START else "-"
        found = await self._together(
            shard,
            ("HMGET", keys.meta(shard), "epoch", "since"),
            ("XRANGE", keys.stream(shard, target), start, "+", "COUNT", count),
        )
        (epoch, since), entries = found
        return Page(_text(epoch), int(since) if since else None, [_entry(entry) for entry in entries])

    async def end(self, target: Target) -> Position | None:
        """Return the position from which only what comes from now on follows.

        The last id or, where there is no stream, one that is below every id still to come: `<Redis time
        - 1 ms>-<largest sequence>` (DELIVERY.md 5.4). None where the shard was never written: all is new.
        """
        shard = self._shard(target)
        epoch, last, (seconds, micros) = await self._together(
            shard,
            ("HGET", keys.meta(shard), "epoch"),
            ("XREVRANGE", keys.stream(shard, target), "+", "-", "COUNT", 1),
            ("TIME",),
        )
        if epoch is None:
            return None
        if last:
            return Position(epoch.decode(), StreamId.parse(last[0][0].decode()))
        now = int(seconds) * 1000 + int(micros) // 1000
        return Position(epoch.decode(), StreamId(now - 1, _LARGEST_SEQUENCE))

    async def follow(
        self, target: Target, after: Position | None
    ) -> AsyncGenerator[tuple[Position, StreamEntry], None]:
        """Yield what follows a position, as it comes, without end; each entry with its position.

        Asks by explicit ids alone (`$` would skip what comes between two reads) and holds a connection
        while it waits, for at most half the time-out of a call.
        """
        shard = self._shard(target)
        stream = keys.stream(shard, target)
        block = max(1, int(self._link.timeout * 1000 / 2))
        while True:
            page = await self.page(target, after, 100)
            for entry in page.entries:
                after = page.position(entry)
                yield after, entry
            if not page.entries:
                seen = after.id if after else START
                await ask(
                    self._link, stream, "XREAD", "COUNT", 1, "BLOCK", block, "STREAMS", stream, str(seen)
                )

    def _shard(self, target: Target) -> int:
        return shard_of(target.id, self._shards)

    async def _together(self, shard: int, *commands: tuple[str | int, ...]) -> list[Any]:
        """Read at one moment: MULTI, so that an epoch and entries belong together."""
        replies = await ask_all(self._link, keys.meta(shard), ("MULTI",), *commands, ("EXEC",))
        return [raise_refusal(reply) for reply in replies[-1]]


def _entry(raw: Sequence[Any]) -> StreamEntry:
    identity, pairs = raw
    fields = dict(zip(pairs[::2], pairs[1::2], strict=True))
    ts = fields.get(b"ts")
    return StreamEntry(
        StreamId.parse(identity.decode()),
        StreamId.parse(fields.get(b"prev", b"0-0").decode()),
        int(ts) if ts else None,
        fields.get(b"event", b"").decode(),
        fields.get(b"data", b""),
        _text(fields.get(b"tp")),
    )


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
