"""Keeping live pages at the ends of their streams, whatever live copies were lost (DELIVERY.md 5.3)."""

import random
from collections import deque
from collections.abc import Sequence
from typing import Final

from ..domain.continuity import ResetReason
from .background import Background
from .channel import Channel
from .errors import SinkMisconfigured, SinkUnavailable
from .gateway_ports import EventFeed
from .hub_settings import HubSettings
from .ports import Clock
from .shard_reach import ShardReach
from .shard_watch import ShardWatch

_CHECKED_AT_ONCE: Final = 25
"""Streams whose ends are asked for in one call; with more, events meanwhile wait longer."""


class StreamChecks:
    """Compares streams with what their live pages have, and reads those that differ. For one event loop."""

    def __init__(
        self,
        feed: EventFeed,
        shards: Sequence[ShardWatch],
        reach: ShardReach,
        *,
        clock: Clock,
        settings: HubSettings,
        background: Background,
        chance: random.Random,
    ) -> None:
        self._feed = feed
        self._shards = shards
        self._reach = reach
        self._clock = clock
        self._settings = settings
        self._background = background
        self._chance = chance
        self._due: deque[Channel] = deque()
        self._resyncing = 0

    def schedule(self, shard: ShardWatch) -> None:
        """Let the shard's next check be due at another moment than those of others."""
        shard.check_at = self._clock.monotonic() + self._chance.uniform(*self._settings.resync_seconds)

    def check(self, shard: ShardWatch) -> None:
        """Let the shard's streams be compared with what their live pages have; those that differ are read."""
        self.schedule(shard)
        shard.check_again = shard.checking
        if not shard.checking:
            shard.checking = True
            self._background.spawn(self._check_until_done(shard), "check")

    def subscribed(self, shard: ShardWatch) -> None:
        """What was announced before may have been missed."""
        for channel in shard.channels:
            channel.doubt()
        self.check(shard)

    def prove_anew(self, shard: ShardWatch, epoch: str) -> None:
        """The shard has this epoch now: read every stream whose pages are in another one."""
        for channel in shard.channels:
            if channel.cursor is not None and channel.cursor.position.epoch != epoch:
                self.resync(channel, urgent=False)

    def resync(self, channel: Channel, *, urgent: bool = True) -> None:
        """Let the channel's live pages be brought to the stream's end; `urgent`: before others."""
        if channel.reading:
            channel.again = True
        if channel.queued or channel.reading or channel.cursor is None:
            return
        channel.queued = True
        if urgent:
            self._due.appendleft(channel)
        else:
            self._due.append(channel)
        if self._resyncing < self._settings.resyncs_at_once:
            self._resyncing += 1
            self._background.spawn(self._resync_due(), "resync")

    async def _check_until_done(self, shard: ShardWatch) -> None:
        try:
            await self._check_streams(shard)
            while shard.check_again:
                shard.check_again = False
                await self._check_streams(shard)
        finally:
            shard.checking = False

    async def _check_streams(self, shard: ShardWatch) -> None:
        channels = list(shard.channels)
        for first in range(0, len(channels), _CHECKED_AT_ONCE):
            some = channels[first : first + _CHECKED_AT_ONCE]
            asked = [(channel, channel.cursor) for channel in some if channel.cursor is not None]
            if shard.failing_since is not None:
                return  # checked once it can be reached again
            if not asked:
                continue
            try:
                ends = await self._feed.ends(shard.number, [channel.target for channel, _ in asked])
            except (SinkUnavailable, SinkMisconfigured) as error:
                self._reach.failed(shard, error)
                return
            for (channel, cursor), last_id in zip(asked, ends.last_ids, strict=True):
                checked = cursor.at_end(ends.empty, last_id)
                if checked is None or channel.cursor is not cursor:
                    self.resync(channel, urgent=False)
                else:
                    channel.cursor = checked
                    channel.say_fresh()

    async def _resync_due(self) -> None:
        try:
            while self._due:
                channel = self._due.popleft()
                channel.queued = False
                shard = self._shards[channel.shard]
                if channel.cursor is not None and shard.failing_since is None:
                    await self._resync(channel, shard)
        finally:
            self._resyncing -= 1

    async def _resync(self, channel: Channel, shard: ShardWatch) -> None:
        asked = channel.cursor
        if asked is None:
            return
        count = self._settings.page_entries
        channel.reading, channel.again = True, False
        try:
            page = await self._feed.read(channel.target, asked.position.id, count)
        except (SinkUnavailable, SinkMisconfigured) as error:
            self._reach.failed(shard, error)
            return
        finally:
            channel.reading = False
        self._reach.worked(shard)
        if channel.cursor is None:
            return
        at_end = len(page.entries) < count
        found = channel.cursor.resynced(asked, page.view, page.entries, at_end=at_end)
        if found is None:
            self.resync(channel)
        elif isinstance(found, ResetReason) or not at_end:
            channel.disband()
        else:
            channel.advance(found.cursor, found.entries)
            channel.say_fresh()
            if channel.again:
                self.resync(channel)
