"""The streams of a sink in this process, for readers, with the faults that a server's readers meet."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from ...application.errors import SinkUnavailable
from ...application.gateway_ports import (
    EpochChanged,
    FeedEntry,
    FeedPage,
    Hear,
    Interrupted,
    LiveCopies,
    LiveCopy,
    LiveNews,
    StreamEnds,
    Subscribed,
)
from ...application.ports import Clock
from ...domain.continuity import StreamView
from ...domain.position import StreamId
from ...domain.routing import Target, encode_target, shard_of
from .shard import StreamEntry
from .sink import MemoryEventSink

DAY_MS = 86_400_000

A = TypeVar("A")


class MemoryEventFeed:
    """The `EventFeed` port over a `MemoryEventSink`.

    For tests: `go_down` and `come_back` are an outage, `lose_next_live` takes live copies away,
    `resubscribe` is a silent reconnect, `trim` and `expire` are what a server does to streams, `hold` and
    `release` keep reads waiting after they looked, `say` announces anything at all.
    """

    def __init__(self, sink: MemoryEventSink, clock: Clock, *, life_ms: int = DAY_MS) -> None:
        """Read what `sink` keeps; `clock` is the store's, the one that the sink has."""
        self.shards = sink.shards
        self.reads = 0
        """How many reads of entries were begun."""
        self.watched: Counter[int] = Counter()
        """How often each shard is watched."""
        self._sink = sink
        self._clock = clock
        self.life_ms = life_ms
        """Of streams, by the store's word."""
        self._down = False
        self._lose = 0
        self._news: asyncio.Queue[LiveNews] = asyncio.Queue()
        self._epochs = {shard: sink.snapshot(shard).epoch for shard in range(sink.shards)}
        self._seen: dict[Target, Sequence[StreamEntry]] = dict(sink.streams())
        self._gate = asyncio.Event()
        self._gate.set()
        sink.on_change = self._announce

    async def read(self, target: Target, after: StreamId | None, count: int) -> FeedPage:
        """As in `EventFeed`."""
        self.reads += 1
        entries = [entry for entry in self._entries(target) if after is None or entry.id > after]
        page = FeedPage(self._view(target, after), entries[:count])
        return await self._answer(page)

    async def read_last(self, target: Target, count: int) -> FeedPage:
        """As in `EventFeed`."""
        self.reads += 1
        page = FeedPage(self._view(target, None), self._entries(target)[-count:])
        return await self._answer(page)

    async def ends(self, shard: int, targets: Sequence[Target]) -> StreamEnds:
        """As in `EventFeed`."""
        snapshot = self._sink.snapshot(shard)
        lasts = [entries[-1].id if (entries := self._entries(each)) else None for each in targets]
        empty = StreamView(
            snapshot.epoch, snapshot.since, self._clock.now_ms(), None, None, None, False, self.life_ms, 0
        )
        return await self._answer(StreamEnds(empty, lasts))

    async def live(self, hear: Hear[LiveNews]) -> None:
        """As in `EventFeed`."""
        while True:
            news = [await self._news.get()]
            while not self._news.empty():
                news.append(self._news.get_nowait())
            hear(news)

    async def watch(self, shard: int) -> None:
        """As in `EventFeed`."""
        self.watched[shard] += 1
        await asyncio.sleep(0)
        if self.watched[shard] == 1 and not self._down:
            self._news.put_nowait(Subscribed(shard))

    async def unwatch(self, shard: int) -> None:
        """As in `EventFeed`."""
        self.watched[shard] -= 1
        await asyncio.sleep(0)

    def go_down(self) -> None:
        """Let the store be away: reads fail, nothing is announced."""
        self._down = True
        for shard in +self.watched:
            self._news.put_nowait(Interrupted(shard))

    def come_back(self) -> None:
        """Let the store be reached again; what was announced meanwhile is lost."""
        self._down = False
        self.resubscribe()

    def resubscribe(self) -> None:
        """Confirm the subscriptions (again): the only sign of a reconnect."""
        for shard in +self.watched:
            self._news.put_nowait(Subscribed(shard))

    def lose_next_live(self, count: int = 1) -> None:
        """Let the next live copies not arrive."""
        self._lose += count

    def say(self, *news: LiveNews) -> None:
        """Announce these: copies that are late, doubled, out of order or of another epoch."""
        for one in news:
            self._news.put_nowait(one)

    def hold(self) -> None:
        """Let reads look at the streams at once and answer only after `release`."""
        self._gate.clear()

    def release(self) -> None:
        """Let reads answer."""
        self._gate.set()

    def trim(self, target: Target, keep: int) -> None:
        """Leave only the last entries of a stream; 0: as if it had expired."""
        shard = shard_of(target.id, self.shards)
        state = self._sink.snapshot(shard)
        streams = dict(state.streams)
        kept = streams.pop(target, ())
        if kept and keep:
            streams[target] = kept[-keep:]
        self._sink.restore(shard, msgspec.structs.replace(state, streams=streams))

    def expire(self, target: Target) -> None:
        """Let a stream's life be over."""
        self.trim(target, 0)

    async def _answer(self, page: A) -> A:
        await asyncio.sleep(0)
        await self._gate.wait()
        if self._down:
            raise SinkUnavailable("connection", "it was taken down")
        return page

    def _entries(self, target: Target) -> list[FeedEntry]:
        return [_feed_entry(entry) for entry in self._sink.stream(target)]

    def _view(self, target: Target, after: StreamId | None) -> StreamView:
        state = self._sink.snapshot(shard_of(target.id, self.shards))
        entries = self._entries(target)
        return StreamView(
            epoch=state.epoch,
            since=state.since,
            now=self._clock.now_ms(),
            first_id=entries[0].id if entries else None,
            first_prev=entries[0].prev if entries else None,
            last_id=entries[-1].id if entries else None,
            cursor_exists=any(entry.id == after for entry in entries),
            life_ms=self.life_ms,
            length=len(entries),
        )

    def _announce(self, shard: int) -> None:
        """Say what is new in a shard since the last call of its sink."""
        state = self._sink.snapshot(shard)
        audible = bool(self.watched[shard]) and not self._down
        epoch = state.epoch or ""
        if audible and self._epochs[shard] is not None and self._epochs[shard] != state.epoch:
            self._news.put_nowait(EpochChanged(shard, epoch))
        self._epochs[shard] = state.epoch
        for target, entries in state.streams.items():
            seen = self._seen.get(target, ())
            if seen and seen[-1] is entries[-1]:
                continue
            self._seen[target] = entries
            known = {id(entry) for entry in seen}
            for entry in entries:
                if id(entry) in known:
                    continue
                if self._lose:
                    self._lose -= 1
                elif audible:
                    self._news.put_nowait(LiveCopies(epoch, [live_copy(target, entry)]))


def live_copy(target: Target, entry: StreamEntry) -> LiveCopy:
    """The live copy of an entry."""
    name = f"{target.scope.value}:{encode_target(target.id)}"
    time, trace = str(entry.timestamp or 0), entry.traceparent or ""
    return LiveCopy(name, entry.id, entry.prev, time, trace, entry.event, entry.data.decode())


def _feed_entry(entry: StreamEntry) -> FeedEntry:
    return FeedEntry(
        id=StreamId.parse(entry.id),
        prev=StreamId.parse(entry.prev),
        event=entry.event,
        data=entry.data.decode(),
        timestamp=entry.timestamp,
        traceparent=entry.traceparent,
    )
