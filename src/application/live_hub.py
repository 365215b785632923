"""The gateway's hub: streams of many pages over one live subscription per shard."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

from ..domain.continuity import fresh_start
from ..domain.position import Position
from ..domain.routing import Target, encode_target, shard_of
from . import frames
from .background import Background
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
from .hub_settings import HubSettings
from .ports import Clock
from .shard_reach import ShardReach
from .shard_watch import ShardWatch
from .stream_checks import StreamChecks
from .stream_session import EndReason, StreamSession, StreamStart
from .wheel import Wheel

TURN_SECONDS = 0.1
"""How often the hub looks for what is due: each time at a small part of its channels."""

_AT_ONCE = 10
"""Streams that get a heartbeat, or pages that are told something, before events have their turn: some 10 µs
a page."""


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
        self._background = Background()
        self._reach = ShardReach(
            feed, clock=clock, settings=self.settings, background=self._background, chance=self._chance
        )
        self._checks = StreamChecks(
            feed,
            self._shards,
            self._reach,
            clock=clock,
            settings=self.settings,
            background=self._background,
            chance=self._chance,
        )
        self._beats: Wheel[Channel] = Wheel(max(1, round(self.settings.heartbeat_seconds / TURN_SECONDS)))
        self._catching_up = asyncio.Semaphore(self.settings.catch_ups_at_once)

    async def run(self) -> None:
        """Follow what is announced, and keep time, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.feed.live(self.hear), name="live")
                tasks.create_task(self._keep_time(), name="heartbeats")
        finally:
            self._background.cancel()
            self._reach.close()

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
                self._reach.failed(shard, error)
            else:
                self._reach.worked(shard)
                return page

    def resync(self, channel: Channel) -> None:
        """Let the channel's live pages be brought to the stream's end, soon."""
        self._checks.resync(channel)

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

    async def tick(self) -> None:
        """Do what is due in this turn (`TURN_SECONDS`); many heartbeats are spread over it, so that they do
        not hold events up."""
        now = self._clock.monotonic()
        for shard in self._shards:
            if shard.channels and now >= shard.check_at:
                self._checks.check(shard)
            since = shard.failing_since
            if (
                since is not None
                and not shard.stale_since
                and now - since >= self.settings.stale_after_seconds
            ):
                shard.stale_since = self._clock.now_ms() - round((now - since) * 1000)
                self._background.spawn(self._say_stale(shard), "stale")
        self._reach.flush()
        await self._beat()

    def hear(self, news: Sequence[LiveNews]) -> None:
        """Take what was announced."""
        for one in news:
            if isinstance(one, LiveCopies):
                for copy in one.copies:
                    channel = self._channels.get(copy.target)
                    if channel is not None and not channel.heard(one.epoch, copy):
                        self._checks.resync(channel)
            elif isinstance(one, Subscribed):
                self._checks.subscribed(self._shards[one.shard])
            elif isinstance(one, EpochChanged):
                self._checks.prove_anew(self._shards[one.shard], one.epoch)
            elif isinstance(one, Interrupted):
                self._reach.doubt(self._shards[one.shard])

    def _channel(self, target: Target) -> Channel:
        name = target_name(target)
        channel = self._channels.get(name)
        if channel is None:
            channel = Channel(target, name, shard_of(target.id, self.feed.shards), self._beats, self.tracing)
            self._channels[name] = channel
            channel.beat_slot = self._beats.put(channel, self._chance.randint(1, self._beats.turns))
            shard = self._shards[channel.shard]
            if not shard.channels:
                self._checks.schedule(shard)
            shard.channels.add(channel)
            self._switch(shard)
        return channel

    async def _keep_time(self) -> None:
        loop = asyncio.get_running_loop()
        turn_at = loop.time()
        while True:
            turn_at = max(turn_at + TURN_SECONDS, loop.time())
            await asyncio.sleep(turn_at - loop.time())
            await self.tick()

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        due = self._beats.turn()
        for count, channel in enumerate(due):
            if count and count % _AT_ONCE == 0:
                await asyncio.sleep(max(0.0, begun + TURN_SECONDS * count / len(due) - loop.time()))
            quiet = self._beats.now - channel.spoke_at
            if quiet >= self._beats.turns:
                channel.beat()
                quiet = 0
            if channel.followers:
                channel.beat_slot = self._beats.put(channel, self._beats.turns - quiet)

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
            self._background.spawn(self._subscribe(shard), "subscribe")

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


def target_name(target: Target) -> str:
    """How a target is called in live copies: `user:<id>`. Raises `TargetError`."""
    return f"{target.scope.value}:{encode_target(target.id)}"


def _sessions(channel: Channel) -> list[StreamSession]:
    return [page for page in channel.followers if isinstance(page, StreamSession)]
