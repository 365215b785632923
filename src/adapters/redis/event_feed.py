"""`RedisEventFeed`: what the gateway reads, streams with what proves a cursor, and live copies."""

import sys
from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import replace
from redis.exceptions import ResponseError

from ...application.gateway_ports import FeedEntry, FeedPage, Hear, LiveNews, StreamEnds
from ...domain.continuity import StreamView
from ...domain.position import START, InvalidPosition, StreamId
from ...domain.routing import Target, shard_of
from . import keys
from .errors import code_of
from .layout import check_layout
from .link import Command, Link
from .live_subscription import LiveSubscription
from .server import ask_all, raise_refusal
from .settings import RedisSettings

_MOST_DIGITS: Final = 18
"""Of a time; Python takes no text of thousands for a number."""

_LARGEST: Final = StreamId(2**64 - 1, 2**64 - 1)


class RedisEventFeed:
    """An `EventFeed` over Redis 6.2 or later: standalone, under Sentinels, or a Cluster.

    Calls raise `SinkUnavailable` and `SinkMisconfigured`; a layout of Redis that is not that of the
    settings is such a one (`LayoutMismatch`), since all streams would be looked for in the wrong place.
    The link is not closed here.
    """

    def __init__(self, settings: RedisSettings, link: Link) -> None:
        self.shards: int = settings.shard_count
        self._life_ms = settings.stream_ttl_seconds * 1000
        """Of streams in shards that do not tell."""
        self._link = link
        self._live = LiveSubscription(link)
        self._layout_known = False

    async def read(self, target: Target, after: StreamId | None, count: int) -> FeedPage:
        """As in `EventFeed`."""
        key = self._key(target)
        beyond: Command = ("XRANGE", key, "-" if after is None else f"({after}", "+", "COUNT", count)
        if after is None:
            view, entries = await self._look(target, beyond)
        elif after == _LARGEST:
            # Nothing can follow it, and asked what does, Redis answers with an error.
            view, _ = await self._look(target, cursor=after)
            entries = []
        else:
            view, entries = await self._look(target, beyond, cursor=after)
        return FeedPage(view, entries)

    async def read_last(self, target: Target, count: int) -> FeedPage:
        """As in `EventFeed`."""
        view, entries = await self._look(target, ("XREVRANGE", self._key(target), "+", "-", "COUNT", count))
        entries.reverse()
        return FeedPage(view, entries)

    async def ends(self, shard: int, targets: Sequence[Target]) -> StreamEnds:
        """As in `EventFeed`."""
        asked: list[Command] = [
            ("XREVRANGE", keys.stream(shard, target), "+", "-", "COUNT", 1) for target in targets
        ]
        empty, found = await self._at_one_moment(shard, asked)
        return StreamEnds(empty, [_stream_id(last[0][0]) if last else None for last in found])

    async def live(self, hear: Hear[LiveNews]) -> None:
        """As in `EventFeed`."""
        await self._live.follow(hear)

    async def watch(self, shard: int) -> None:
        """As in `EventFeed`."""
        self._live.watch(shard)

    async def unwatch(self, shard: int) -> None:
        """As in `EventFeed`."""
        self._live.unwatch(shard)

    async def close(self) -> None:
        """End the live copies and close their connections."""
        await self._live.close()

    def _key(self, target: Target) -> str:
        return keys.stream(shard_of(target.id, self.shards), target)

    async def _look(
        self, target: Target, *entries: Command, cursor: StreamId | None = None
    ) -> tuple[StreamView, list[FeedEntry]]:
        """Ask for entries, for the cursor's and for what frames them."""
        shard = shard_of(target.id, self.shards)
        key = keys.stream(shard, target)
        there: tuple[Command, ...] = ()
        if cursor is not None:
            there = (("XRANGE", key, str(cursor), str(cursor), "COUNT", 1),)
        asked = (
            ("XRANGE", key, "-", "+", "COUNT", 1),
            ("XREVRANGE", key, "+", "-", "COUNT", 1),
            ("XLEN", key),
            *there,
            *entries,
        )
        empty, (first, last, length, *found) = await self._at_one_moment(shard, asked)
        view = replace(
            empty,
            first_id=_entry(first[0]).id if first else None,
            first_prev=_entry(first[0]).prev if first else None,
            last_id=_entry(last[0]).id if last else None,
            cursor_exists=bool(cursor is not None and found[0]),
            length=length or 0,
        )
        return view, [_entry(raw) for raw in found[-1]] if entries else []

    async def _at_one_moment(self, shard: int, asked: Sequence[Command]) -> tuple[StreamView, Sequence[Any]]:
        """Ask (MULTI) beside what the shard says of all its streams, shown as the view of an empty one."""
        if not self._layout_known:
            self._layout_known = await check_layout(self._link, self.shards)
        meta = keys.meta(shard)
        of_shard: tuple[Command, ...] = (("HMGET", meta, "epoch", "since", "life"), ("TIME",))
        replies = await ask_all(self._link, meta, ("MULTI",), *of_shard, *asked, ("EXEC",))
        (epoch, since, life), (seconds, micros) = map(raise_refusal, replies[-1][:2])
        empty = StreamView(
            # One text for all streams of the shard, for as long as they are followed.
            epoch=sys.intern(epoch.decode(errors="replace")) if epoch else None,
            since=int(since) if since else None,
            now=int(seconds) * 1000 + int(micros) // 1000,
            first_id=None,
            first_prev=None,
            last_id=None,
            cursor_exists=False,
            life_ms=int(life) if life else self._life_ms,
            length=0,
        )
        return empty, [_of_stream(reply) for reply in replies[-1][2:]]


def _of_stream(reply: object) -> Any:  # noqa: ANN401 - each command's reply has a shape of its own
    """Hand a reply on. A key that is no stream holds no entries: a matter of one user, not of the server."""
    if isinstance(reply, ResponseError) and code_of(reply) == "WRONGTYPE":
        return ()
    return raise_refusal(reply)


def _entry(raw: Sequence[Any]) -> FeedEntry:
    """Take an entry as the script writes it; what another hand left out or spoilt is not there."""
    identity, pairs = raw
    fields: dict[bytes, bytes] = dict(zip(pairs[::2], pairs[1::2], strict=False))
    timestamp, trace = fields.get(b"ts", b""), fields.get(b"tp")
    return FeedEntry(
        _stream_id(identity),
        _id_or_start(fields.get(b"prev", b"")),
        fields.get(b"event", b"").decode(errors="replace"),
        fields.get(b"data", b"").decode(errors="replace"),
        int(timestamp) if timestamp.isdigit() and len(timestamp) <= _MOST_DIGITS else None,
        trace.decode(errors="replace") if trace else None,
    )


def _stream_id(text: bytes) -> StreamId:
    return StreamId.parse(text.decode())


def _id_or_start(text: bytes) -> StreamId:
    try:
        return StreamId.parse(text.decode(errors="replace"))
    except InvalidPosition:
        return START
