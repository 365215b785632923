"""The gateway's hub: streams of many pages over one live subscription per shard."""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import msgspec

from ..domain.continuity import ResetReason, fresh_start
from ..domain.errors import EventBridgeError
from ..domain.position import Position
from ..domain.routing import Target, encode_target, shard_of
from . import frames
from .cause_log import CauseLog
from .channel import Channel
from .errors import SinkMisconfigured, SinkUnavailable
from .gateway_ports import (
    DeliveryTracing,
    EpochChanged,
    EventFeed,
    FeedPage,
    GatewayTelemetry,
    Interrupted,
    LiveCopies,
    LiveNews,
    Outlet,
    Subscribed,
)
from .ports import Clock
from .shard_watch import ShardWatch
from .stream_session import EndReason, StreamSession, StreamStart
from .wheel import Wheel

log = logging.getLogger(__name__)

TURN_SECONDS = 0.05
"""How often the hub looks for what is due: each time at a small part of its channels."""

_CHECKED_AT_ONCE = 25
"""Streams whose ends are asked for in one call."""

_AT_ONCE = 100
"""Pages that are written to before others have their turn."""


class HubSettings(msgspec.Struct, frozen=True):
    """How streams are served."""

    heartbeat_seconds: float = 15
    stale_after_seconds: float = 10
    replay_max_entries: int = 1000
    """What a page gets at most when it comes back; more is a reset."""
    retry_ms: int = 2000
    """What pages are told to wait before they connect again, give or take a half."""
    resync_seconds: tuple[float, float] = (15, 30)
    """Every stream is checked that often, at random between the two (DELIVERY.md 5.3)."""
    page_entries: int = 100
    """Entries asked for in one read."""
    catch_ups_at_once: int = 8
    """Reads for pages that catch up which are under way together; others wait."""
    resyncs_at_once: int = 4
    probe_seconds: tuple[float, float] = (0.1, 2)
    """How soon a shard that is away is tried again, and how seldom at last."""


class LiveHub:
    """Opens streams for pages and follows them; `run` has to run meanwhile. For one event loop."""

    def __init__(
        self,
        feed: EventFeed,
        telemetry: GatewayTelemetry,
        clock: Clock,
        settings: HubSettings | None = None,
        *,
        tracing: DeliveryTracing | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self.settings = settings or HubSettings()
        self.feed = feed
        self.telemetry = telemetry
        self.tracing = tracing
        self.page_entries = self.settings.page_entries
        self.replay_max_entries = self.settings.replay_max_entries
        self._clock = clock
        self._chance = chance or random.Random()  # noqa: S311 - spreads load, keeps no secret
        self._channels: dict[str, Channel] = {}
        self._shards = [ShardWatch(number) for number in range(feed.shards)]
        self._beats: Wheel[Channel] = Wheel(max(1, round(self.settings.heartbeat_seconds / TURN_SECONDS)))
        self._due: deque[Channel] = deque()
        self._resyncing = 0
        self._catching_up = asyncio.Semaphore(self.settings.catch_ups_at_once)
        self._tasks: set[asyncio.Task[None]] = set()
        self._causes = CauseLog(log, clock)

    async def run(self) -> None:
        """Follow what is announced, and keep time, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.feed.live(self.hear), name="live")
                tasks.create_task(self._keep_time(), name="heartbeats")
        finally:
            for task in self._tasks:
                task.cancel()
            self._causes.close()

    def open(
        self, target: Target, outlet: Outlet, start: StreamStart | None = None, *, named: bool = True
    ) -> StreamSession:
        """Begin a stream; its first bytes are written at once.

        Without `named` events carry no `event:` line. The session must be closed by the caller, whatever
        happens; nothing is awaited here, so that there is no moment between the two. Raises `TargetError`.
        """
        channel = self._channel(target)
        session = StreamSession(self, channel, outlet, named=named)
        channel.followers.append(session)
        self.telemetry.connected()
        outlet.write(frames.opening(round(self.settings.retry_ms * self._chance.uniform(0.5, 1.5))))
        stale_since = self._shards[channel.shard].stale_since
        if stale_since:
            session.say_stale(stale_since)
        session.begin(start or StreamStart())
        return session

    async def position(self, target: Target) -> Position:
        """Return where a page would begin now. Raises `SinkUnavailable`, `SinkMisconfigured`."""
        return fresh_start((await self.feed.read_last(target, 1)).view)

    def sessions(self) -> list[StreamSession]:
        """Return every open stream."""
        return [page for channel in self._channels.values() for page in _sessions(channel)]

    def sessions_of(self, target: Target) -> list[StreamSession]:
        """Return the open streams of one target."""
        channel = self._channels.get(target_name(target))
        return _sessions(channel) if channel else []

    @property
    def stale_shards(self) -> Sequence[int]:
        """Shards whose pages have been told that the store is away."""
        return [shard.number for shard in self._shards if shard.stale_since]

    async def read(self, channel: Channel, call: Callable[[], Awaitable[FeedPage]]) -> FeedPage:
        """Make a read for a page that catches up, in its turn; where the store is away, when it is back."""
        shard = self._shards[channel.shard]
        while True:
            await shard.available.wait()
            try:
                async with self._catching_up:
                    page = await call()
            except (SinkUnavailable, SinkMisconfigured) as error:
                self._failed(shard, error)
            else:
                self._worked(shard)
                return page

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
        if self._resyncing < self.settings.resyncs_at_once:
            self._resyncing += 1
            self._spawn(self._resync_due(), "resync")

    def left(self, session: StreamSession) -> None:
        """A session ended: see `StreamSession.close`."""
        channel = session.channel
        channel.followers.remove(session)
        if not channel.followers:
            del self._channels[channel.name]
            self._beats.drop(channel, channel.beat_slot)
            channel.cursor = None
            shard = self._shards[channel.shard]
            shard.channels.discard(channel)
            self._switch(shard)
        self.telemetry.disconnected(session.ended or EndReason.GONE)

    def tick(self) -> None:
        """Do what is due in this turn (`TURN_SECONDS`)."""
        for channel in self._beats.turn():
            quiet = self._beats.now - channel.spoke_at
            if quiet >= self._beats.turns:
                channel.beat()
                quiet = 0
            if channel.followers:
                channel.beat_slot = self._beats.put(channel, self._beats.turns - quiet)
        now = self._clock.monotonic()
        for shard in self._shards:
            if shard.channels and now >= shard.check_at:
                self._check(shard)
            since = shard.failing_since
            if (
                since is not None
                and not shard.stale_since
                and now - since >= self.settings.stale_after_seconds
            ):
                shard.stale_since = self._clock.now_ms() - round((now - since) * 1000)
                self._spawn(self._say_stale(shard), "stale")
        self._causes.flush()

    def hear(self, news: Sequence[LiveNews]) -> None:
        """Take what was announced."""
        for one in news:
            if isinstance(one, LiveCopies):
                for copy in one.copies:
                    channel = self._channels.get(copy.target)
                    if channel is not None and not channel.heard(one.epoch, copy):
                        self.resync(channel)
            elif isinstance(one, Subscribed):
                self._check(self._shards[one.shard])
            elif isinstance(one, EpochChanged):
                self._prove_anew(one)
            elif isinstance(one, Interrupted):
                self._spawn(self._look(self._shards[one.shard]), "look")

    def _channel(self, target: Target) -> Channel:
        name = target_name(target)
        channel = self._channels.get(name)
        if channel is None:
            channel = Channel(target, name, shard_of(target.id, self.feed.shards), self._beats, self.tracing)
            self._channels[name] = channel
            channel.beat_slot = self._beats.put(channel, self._chance.randint(1, self._beats.turns))
            shard = self._shards[channel.shard]
            if not shard.channels:
                shard.check_at = self._next_check()
            shard.channels.add(channel)
            self._switch(shard)
        return channel

    def _next_check(self) -> float:
        return self._clock.monotonic() + self._chance.uniform(*self.settings.resync_seconds)

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(TURN_SECONDS)
            self.tick()

    def _check(self, shard: ShardWatch) -> None:
        """Let the shard's streams be compared with what their live pages have; those that differ are read."""
        shard.check_at = self._next_check()
        shard.check_again = shard.checking
        if not shard.checking:
            shard.checking = True
            self._spawn(self._check_until_done(shard), "check")

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
                ends = await self.feed.ends(shard.number, [channel.target for channel, _ in asked])
            except (SinkUnavailable, SinkMisconfigured) as error:
                self._failed(shard, error)
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
        channel.reading, channel.again = True, False
        try:
            page = await self.feed.read(channel.target, asked.position.id, self.page_entries)
        except (SinkUnavailable, SinkMisconfigured) as error:
            self._failed(shard, error)
            return
        finally:
            channel.reading = False
        self._worked(shard)
        if channel.cursor is None:
            return
        at_end = len(page.entries) < self.page_entries
        found = channel.cursor.resynced(asked, page.view, page.entries, at_end=at_end)
        if found is None:
            self.resync(channel)
        elif isinstance(found, ResetReason) or not at_end:
            self._disband(channel)
        else:
            channel.advance(found.cursor, found.entries)
            channel.say_fresh()
            if channel.again:
                self.resync(channel)

    def _disband(self, channel: Channel) -> None:
        """Let each page catch up by itself: what is missing is too much for all at once, or a reset."""
        cursor, channel.cursor = channel.cursor, None
        for page in _sessions(channel):
            if page.live:
                page.cursor = cursor
                page.catch_up()

    def _prove_anew(self, news: EpochChanged) -> None:
        for channel in self._shards[news.shard].channels:
            if channel.cursor is not None and channel.cursor.position.epoch != news.epoch:
                self.resync(channel, urgent=False)

    def _failed(self, shard: ShardWatch, error: EventBridgeError) -> None:
        self._causes.say("feed", logging.WARNING, f"streams cannot be read, tried again: {error}")
        if shard.failed(self._clock.monotonic()):
            self._spawn(self._probe(shard), "probe")

    def _worked(self, shard: ShardWatch) -> None:
        if shard.worked():
            log.info("streams can be read again", extra={"shard": shard.number})
            self._check(shard)

    async def _look(self, shard: ShardWatch) -> None:
        """Find out whether a shard can be reached."""
        channel = next(iter(shard.channels), None)
        if channel is None:
            self._worked(shard)
            return
        try:
            await self.feed.read_last(channel.target, 1)
        except (SinkUnavailable, SinkMisconfigured) as error:
            self._failed(shard, error)
        else:
            self._worked(shard)

    async def _probe(self, shard: ShardWatch) -> None:
        delay, longest = self.settings.probe_seconds
        while shard.failing_since is not None:
            await asyncio.sleep(delay * self._chance.uniform(0.5, 1))
            await self._look(shard)
            delay = min(delay * 2, longest)

    async def _say_stale(self, shard: ShardWatch) -> None:
        written = 0
        for channel in tuple(shard.channels):
            for page in _sessions(channel):
                if not shard.stale_since:
                    return
                if page.ended is None:
                    page.say_stale(shard.stale_since)
                written += 1
                if written % _AT_ONCE == 0:
                    await asyncio.sleep(0)

    def _switch(self, shard: ShardWatch) -> None:
        if not shard.switching and shard.subscribed != shard.wanted:
            shard.switching = True
            self._spawn(self._subscribe(shard), "subscribe")

    async def _subscribe(self, shard: ShardWatch) -> None:
        try:
            while shard.subscribed != shard.wanted:
                if shard.wanted:
                    await self.feed.watch(shard.number)
                    shard.subscribed = True
                else:
                    await self.feed.unwatch(shard.number)
                    shard.subscribed = False
        finally:
            shard.switching = False

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task of the hub failed", exc_info=error, extra={"task": task.get_name()})


def target_name(target: Target) -> str:
    """How a target is called in live copies: `user:<id>`. Raises `TargetError`."""
    return f"{target.scope.value}:{encode_target(target.id)}"


def _sessions(channel: Channel) -> list[StreamSession]:
    return [page for page in channel.followers if isinstance(page, StreamSession)]
