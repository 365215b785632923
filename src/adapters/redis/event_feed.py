"""`RedisEventFeed`: what the gateway reads, streams with what proves a cursor, and live copies."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from ...application.gateway_ports import FeedEntry, FeedPage, LiveNews
from ...domain.continuity import StreamView
from ...domain.position import START, InvalidPosition, StreamId
from ...domain.routing import Target, shard_of
from . import keys
from .layout import check_layout
from .link import Command, Link
from .live_subscription import LiveSubscription
from .server import ask_all, raise_refusal
from .settings import RedisSettings

_LARGEST: Final = StreamId(2**64 - 1, 2**64 - 1)


class RedisEventFeed:
    """An `EventFeed` over Redis 6.2 or later: standalone, under Sentinels, or a Cluster (7.0 or later).

    Calls raise `SinkUnavailable` and `SinkMisconfigured`; a layout of Redis that is not that of the
    settings is such a one (`LayoutMismatch`), since all streams would be looked for in the wrong place.
    The link is not closed here.
    """

    def __init__(self, settings: RedisSettings, link: Link) -> None:
        self.shards: int = settings.shard_count
        self._life_ms = settings.stream_ttl_seconds * 1000
        self._link = link
        self._live = LiveSubscription(link, sharded=link.cluster)
        self._layout_known = False

    async def read(self, target: Target, after: StreamId | None, count: int) -> FeedPage:
        """As in `EventFeed`."""
        key = self._key(target)
        commands: list[Command] = []
        if after is not None:
            commands.append(("XRANGE", key, str(after), str(after), "COUNT", 1))
        if after != _LARGEST:
            start = "-" if after is None else f"({after}"
            commands.append(("XRANGE", key, start, "+", "COUNT", count))
        view, found = await self._together(target, key, 1, commands)
        entries = found.pop() if after != _LARGEST else []
        return FeedPage(view(exists=bool(found and found[0])), _entries(entries))

    async def read_last(self, target: Target, count: int) -> FeedPage:
        """As in `EventFeed`."""
        raise NotImplementedError

    def live(self) -> AsyncIterator[Sequence[LiveNews]]:
        """As in `EventFeed`."""
        return self._live.news()
