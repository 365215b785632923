"""One page's stream: from where it left off to the stream's end, and live from there."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from ..domain.continuity import ResetReason, StreamView, start_at
from ..domain.position import InvalidPosition, Position
from ..domain.stream_cursor import StreamCursor
from . import frames
from .channel import Channel
from .gateway_ports import (
    MAX_CHUNK_BYTES,
    DeliveryTracing,
    EventFeed,
    FeedEntry,
    FeedPage,
    GatewayTelemetry,
    Outlet,
)


class EndReason(StrEnum):
    """Why a stream ended, as far as this layer ends it."""

    GONE = "gone"
    """The page went away."""
    SLOW = "slow"
    """The page did not take what it was sent: it comes back by itself."""
    FAILED = "failed"
    """A mistake of ours, logged: the page comes back by itself."""


class StreamStart(msgspec.Struct, frozen=True):
    """Where a page wants to begin; by default with what comes from now on."""

    after: str | None = None
    """A position as the page sent it, not checked yet (`Last-Event-ID`, `?last_event_id=`); empty is none."""
    last: int = 0
    """Without `after`: so many of the last entries first."""


class Hub(Protocol):
    """What a session asks of the hub."""

    feed: EventFeed
    telemetry: GatewayTelemetry
    tracing: DeliveryTracing | None
    page_entries: int
    """Entries asked for in one read."""
    replay_max_entries: int

    async def read(self, channel: Channel, call: Callable[[], Awaitable[FeedPage]]) -> FeedPage:
        """Make a read of the feed in its turn; where the store is away, again when it is back."""

    def resync(self, channel: Channel) -> None:
        """Let the channel's live pages be brought to the stream's end, soon."""

    def left(self, session: "StreamSession") -> None:
        """The session ended."""


class StreamSession:
    """One page's stream. While it is live it costs no task: the channel writes to its outlet.

    Made by `LiveHub.open`, and to be closed by whoever opened it, in any case.
    """

    __slots__ = (
        "_hub",
        "_start",
        "_task",
        "_told",
        "channel",
        "cursor",
        "ended",
        "live",
        "named",
        "outlet",
        "stale_since",
    )

    def __init__(self, hub: Hub, channel: Channel, outlet: Outlet, *, named: bool) -> None:
        self._hub = hub
        self._start: StreamStart | None = None
        self._task: asyncio.Task[None] | None = None
        self._told: Position | None = None
        """The last position that the page was sent while it caught up."""
        self.channel = channel
        self.cursor: StreamCursor | None = None
        """Where it is while it catches up."""
        self.ended: str | None = None
        """Why it ended."""
        self.live = False
        self.named = named
        self.outlet = outlet
        self.stale_since = 0
        """Since when the page was told that the store is away, ms since the epoch; 0: it was not."""

    @property
    def position(self) -> Position | None:
        """Up to where everything was written; None while that is not known."""
        cursor = self.channel.cursor if self.live else self.cursor
        return None if cursor is None else cursor.position

    def begin(self, start: StreamStart) -> None:
        """Catch up from there, at once where the channel already is there, else in a task that ends then."""
        if self.ended is not None:
            return
        following = self.channel.cursor
        fresh = not start.after and not start.last
        if following is not None and (fresh or start.after == str(following.position)):
            self.live = True
            if fresh:
                self._write(frames.position(following.position))
            else:
                self._hub.telemetry.resumed("continuous")
            return
        self._start = start
        self.catch_up()

    def catch_up(self) -> None:
        """Read up to the stream's end, then go on live; from `cursor`, if there is one."""
        self.live = False
        self.channel.opens()
        self._task = asyncio.get_running_loop().create_task(self._catch_up(), name="catch-up")
        self._task.add_done_callback(self._task_ended)

    def say_stale(self, since_ms: int) -> None:
        """Tell the page that the store has been away for long."""
        if not self.stale_since:
            self.stale_since = since_ms
            self._write(frames.stale(since_ms))

    def close(self, reason: str, *, retry_ms: int | None = None) -> None:
        """End the stream, for one of few words; the first call counts.

        With `retry_ms` what was written is still sent, and then when the page is to come back; else what
        has not been sent is dropped, and comes again from the position that the page has.
        """
        if self.ended is not None:
            return
        self.ended = reason
        self.live = False
        if self._task is not None:
            self._task.cancel()
            self._stops()
        if retry_ms is not None:
            self.outlet.write(frames.retry(retry_ms))
        self.outlet.close(flush=retry_ms is not None)
        self._hub.left(self)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            context = {"message": "a stream failed while it caught up", "exception": error, "task": task}
            task.get_loop().call_exception_handler(context)
        if self._task is task:
            self.close(EndReason.FAILED)

    def _stops(self) -> None:
        self._task = None
        self.channel.opened()

    async def _catch_up(self) -> None:
        cursor = self.cursor
        proved = False
        if cursor is None:
            cursor = await self._first()
            # A place that was just given out is within the limit, whatever comes meanwhile.
            proved = self._start is None
        while True:
            self.cursor = cursor
            mark = self.channel.mark()
            page = await self._read(cursor)
            reason = cursor.disproof(page.view)
            if reason is None and not proved and await self._is_beyond_limit(cursor, page):
                reason = ResetReason.REPLAY_LIMIT
            if reason is not None:
                cursor, proved = await self._reset(reason, page.view), True
                continue
            self._prove()
            proved = True
            await self._replay(page.view.known_epoch, page.entries)
            if self.ended is not None:
                return
            at_end = len(page.entries) < self._hub.page_entries
            cursor = cursor.read(page.view, page.entries, at_end=at_end)
            if at_end and self._go_live(cursor, mark, page.entries):
                return

    def _go_live(self, cursor: StreamCursor, mark: int, read: Sequence[FeedEntry]) -> bool:
        if not self.channel.admit(self, cursor, mark, read):
            if self.channel.cursor is not None:
                self._hub.resync(self.channel)
            return False
        if self.ended is None:
            self._stops()
            self.cursor = None
            following = self.channel.cursor
            if following is not None and following.position != self._told:
                self._write(frames.position(following.position))
            self._told = None
            self.channel.say_fresh()
        return True

    async def _first(self) -> StreamCursor:
        start = self._start or StreamStart()
        if start.after:
            try:
                self._told = Position.parse(start.after)
            except InvalidPosition:
                return await self._reset(ResetReason.INVALID, (await self._read_last(1)).view)
            return StreamCursor(self._told)
        self._start = None
        page = await self._read_last(min(start.last, self._hub.replay_max_entries) or 1)
        cursor = StreamCursor.fresh(page.view)
        if start.last and page.entries:
            cursor = StreamCursor(start_at(page.view, (page.entries[0].id, page.entries[0].prev)))
        self._tell(cursor.position)
        return cursor

    def _prove(self) -> None:
        if self._start is not None and self._start.after:
            self._hub.telemetry.resumed("continuous")
        self._start = None

    async def _is_beyond_limit(self, cursor: StreamCursor, page: FeedPage) -> bool:
        limit = self._hub.replay_max_entries
        full = len(page.entries) == self._hub.page_entries
        if page.view.length <= limit or not (full or len(page.entries) > limit):
            return False
        last = await self._read_last(limit)
        return bool(last.entries) and cursor.position.id < last.entries[0].prev

    async def _reset(self, reason: ResetReason, view: StreamView) -> StreamCursor:
        oldest = None
        if view.length > self._hub.replay_max_entries:
            page = await self._read_last(self._hub.replay_max_entries)
            view = page.view
            if page.entries:
                oldest = page.entries[0].id, page.entries[0].prev
        elif view.first_id is not None and view.first_prev is not None:
            oldest = view.first_id, view.first_prev
        position = start_at(view, oldest)
        self._start = None
        self._hub.telemetry.resumed(reason.value)
        await self.outlet.drained()
        self._write(frames.reset(reason, position))
        self._told = position
        return StreamCursor.fresh(view) if oldest is None else StreamCursor(position)

    async def _read(self, cursor: StreamCursor) -> FeedPage:
        feed, target, count = self._hub.feed, self.channel.target, self._hub.page_entries
        return await self._hub.read(self.channel, lambda: feed.read(target, cursor.position.id, count))

    async def _read_last(self, count: int) -> FeedPage:
        feed, target = self._hub.feed, self.channel.target
        return await self._hub.read(self.channel, lambda: feed.read_last(target, count))

    async def _replay(self, epoch: str, entries: Sequence[FeedEntry]) -> None:
        tracing = self._hub.tracing
        trace = tracing.replay(self.channel.target, entries) if tracing is not None and entries else None
        try:
            await self._send(epoch, entries)
        finally:
            if trace is not None:
                trace.end(int(self.ended is None))

    async def _send(self, epoch: str, entries: Sequence[FeedEntry]) -> None:
        chunk: list[bytes] = []
        times: list[int | None] = []
        size = 0
        for entry in entries:
            frame = frames.entries(epoch, (entry.shown,), named=self.named)
            if size and size + len(frame) > MAX_CHUNK_BYTES:
                await self.outlet.drained()
                self._write(b"".join(chunk), times)
                chunk, times, size = [], [], 0
            chunk.append(frame)
            times.append(entry.timestamp)
            size += len(frame)
        if chunk:
            await self.outlet.drained()
            self._write(b"".join(chunk), times)
            self._told = Position(epoch, entries[-1].id)

    def _tell(self, position: Position) -> None:
        self._told = position
        self._write(frames.position(position))

    def _write(self, chunk: bytes, times: Sequence[int | None] = ()) -> None:
        if not self.outlet.write(chunk, times):
            self.close(EndReason.SLOW)
