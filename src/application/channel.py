"""One target's stream as this process follows it, for all of its pages at once."""

import re
from collections.abc import Sequence
from typing import Protocol

from ..domain import wire_format
from ..domain.continuity import is_gap
from ..domain.position import StreamId
from ..domain.routing import Target
from ..domain.stream_cursor import Link, StreamCursor
from . import frames
from .gateway_ports import DeliveryTracing, FeedEntry, LiveCopy, Outlet
from .wheel import Wheel

MAX_COPIES = 1024
"""Live copies kept while a page catches up; one that is slower reads again."""

_plain_id = re.compile("[1-9][0-9]{0,18}-[1-9][0-9]{0,18}", re.ASCII).fullmatch
"""Tells an id as the script gives them; what it lets through, `StreamId.parse` takes."""


class Follower(Protocol):
    """A page's side of a channel."""

    outlet: Outlet
    named: bool
    live: bool
    """It has got everything up to the channel's cursor, and gets what follows from the channel."""
    cursor: StreamCursor | None
    """Where it is while it catches up."""
    stale_since: int

    def catch_up(self) -> None:
        """Leave the channel's cursor, and come to the stream's end from one's own."""

    def close(self, reason: str) -> None:
        """End the stream."""


class Channel:
    """The pages of one target, and the cursor up to which the live ones among them have got everything."""

    __slots__ = (
        "_ahead",
        "_beats",
        "_copies",
        "_cursor",
        "_epoch",
        "_forgotten",
        "_last",
        "_opening",
        "_tracing",
        "again",
        "beat_slot",
        "followers",
        "name",
        "queued",
        "reading",
        "shard",
        "spoke_at",
        "target",
    )

    def __init__(
        self,
        target: Target,
        name: str,
        shard: int,
        beats: Wheel["Channel"],
        tracing: DeliveryTracing | None = None,
    ) -> None:
        self.target = target
        self.name = name
        self.shard = shard
        self.followers: list[Follower] = []
        self.queued = self.reading = self.again = False
        """Whether a resync is asked for, under way, and to be repeated at its end."""
        self.beat_slot = 0
        self.spoke_at = -beats.turns
        """The turn of the heartbeats' wheel in which all pages last got an event."""
        self._beats = beats
        self._tracing = tracing
        self._opening = 0
        self._copies: list[tuple[str, FeedEntry]] | None = None
        self._forgotten = 0
        self._cursor: StreamCursor | None = None
        self._epoch = ""
        self._last: str | None = None
        """The id of the entry that was sent last, as text; None where the cursor names none."""
        self._ahead = False
        """Whether that is beyond `_cursor`."""

    @property
    def cursor(self) -> StreamCursor | None:
        """None while no page has come to the stream's end."""
        if self._ahead and self._cursor is not None and self._last is not None:
            self._cursor = self._cursor.sent(StreamId.parse(self._last))
        self._ahead = False
        return self._cursor

    @cursor.setter
    def cursor(self, cursor: StreamCursor | None) -> None:
        self._cursor, self._ahead, self._last = cursor, False, None
        if cursor is not None and not is_gap(cursor.position.id):
            self._epoch, self._last = cursor.position.epoch, str(cursor.position.id)

    def doubt(self) -> None:
        """Live copies may have been missed: until the next check none is taken for the first of its stream.

        How long one that was not heard is still there is known of now, not of what was written meanwhile.
        """
        cursor = self.cursor
        if cursor is not None and is_gap(cursor.position.id):
            self.cursor = cursor.doubted()

    def opens(self) -> None:
        """A page begins to catch up: live copies are kept from now on."""
        self._opening += 1
        if self._copies is None:
            self._copies = []

    def opened(self) -> None:
        """A page has caught up, or given up."""
        self._opening -= 1
        if not self._opening:
            self._copies = None
            self._forgotten = 0

    def mark(self) -> int:
        """The moment in the sequence of live copies from which `admit` is to look."""
        return self._forgotten + len(self._copies or ())

    def heard(self, epoch: str, copy: LiveCopy) -> bool:
        """Take a live copy; False where the stream has to be read for it.

        Almost every copy is the cursor's successor by its own word (`Link.NEXT`). That is told by comparing
        texts, and then nothing is made of it but its frame.
        """
        _, identity, prev, timestamp, traceparent, event, data = copy
        shown = ((identity, event, data),)
        try:
            follows = (
                prev == self._last
                and epoch == self._epoch
                and self._copies is None
                and (self._tracing is None or not traceparent)
                and _plain_id(identity)
            )
            entry = None if follows else _entry(copy)
            times = (int(timestamp),)
            chunk = wire_format.entry(epoch, *shown[0]) if follows else b""
        except (ValueError, TypeError):
            return False  # the script writes no such copy; what the stream holds is found by reading
        if entry is not None:
            return self._considered(epoch, entry)
        self._last = identity
        self._ahead = True
        self._send(epoch, shown, times, chunk)
        return True

    def admit(self, page: Follower, cursor: StreamCursor, mark: int, read: Sequence[FeedEntry]) -> bool:
        """Let a page that has read up to its stream's end go on live; False: it has to read again.

        `cursor` is where it is, `mark` was taken before it read, `read` is what it read last.
        """
        if self._copies is None or mark < self._forgotten:
            return False
        merged = cursor.merge(self._copies[mark - self._forgotten :])
        if merged is None or not self._reaches(merged.cursor, [*read, *merged.entries]):
            return False
        if self.cursor is None or self.cursor.position == merged.cursor.position:
            self.cursor = merged.cursor
        page.live = True
        if merged.entries:
            self._replay(page, merged.cursor.position.epoch, merged.entries)
        return True

    def advance(self, cursor: StreamCursor, entries: Sequence[FeedEntry]) -> None:
        """Send the entries that lie between the channel's cursor and this one; each is encoded once."""
        self.cursor = cursor
        if not entries:
            return
        trace = None if self._tracing is None else self._tracing.live(self.target, entries)
        times = [entry.timestamp for entry in entries]
        pages = self._send(cursor.position.epoch, [entry.shown for entry in entries], times)
        if trace is not None:
            trace.end(pages)

    def disband(self) -> None:
        """Let each page catch up by itself: what is missing is too much for all at once, or a reset."""
        cursor, self.cursor = self.cursor, None
        for page in tuple(self.followers):
            if page.live:
                page.cursor = cursor
                page.catch_up()

    def say(self, chunk: bytes, page: Follower) -> None:
        """Write something that is no event."""
        if not page.outlet.write(chunk):
            page.close("slow")

    def beat(self) -> None:
        """Send a heartbeat; live pages get their position with it."""
        at = b"" if self.cursor is None else frames.position(self.cursor.position)
        beat = frames.BEAT + at
        for page in tuple(self.followers):
            self.say(beat if page.live else frames.BEAT, page)

    def say_fresh(self) -> None:
        """Tell the live pages that were told of a stale store that they have everything again."""
        for page in tuple(self.followers):
            if page.live and page.stale_since:
                since, page.stale_since = page.stale_since, 0
                self.say(frames.fresh(since), page)

    def _considered(self, epoch: str, entry: FeedEntry) -> bool:
        """Do whatever a copy asks for."""
        if self._copies is not None:
            if len(self._copies) == MAX_COPIES:
                self._forgotten += MAX_COPIES
                self._copies.clear()
            self._copies.append((epoch, entry))
        if self.cursor is None:
            return True
        link = self.cursor.link(epoch, entry)
        if link is Link.NEXT:
            self.advance(self.cursor.sent(entry.id), [entry])
        return link is not Link.HOLE

    def _send(
        self, epoch: str, shown: Sequence[frames.Shown], times: Sequence[int | None], named: bytes = b""
    ) -> int:
        """Write entries to the live pages, `named` being their frames where those are there already; answers
        to how many."""
        if self._copies is None:
            self.spoke_at = self._beats.now
        pages = 0
        plain = b""
        for page in tuple(self.followers):
            if not page.live:
                continue
            if page.named:
                chunk = named = named or frames.entries(epoch, shown, named=True)
            else:
                chunk = plain = plain or frames.entries(epoch, shown, named=False)
            if page.outlet.write(chunk, times):
                pages += 1
            else:
                page.close("slow")
        return pages

    def _reaches(self, cursor: StreamCursor, known: Sequence[FeedEntry]) -> bool:
        """Whether the live pages are where the new one is, or can be brought there by what it knows."""
        if self.cursor is None or self.cursor.position == cursor.position:
            return True
        mine = self.cursor.position
        if mine.epoch != cursor.position.epoch:
            return False
        if is_gap(mine.id) and is_gap(cursor.position.id):
            return True  # there is no stream: a page may go on from either moment
        if mine.id > cursor.position.id:
            return False
        missing = [entry for entry in known if entry.id > mine.id]
        if not missing or missing[0].prev != mine.id:
            return False
        self.advance(cursor, missing)
        return True

    def _replay(self, page: Follower, epoch: str, entries: Sequence[FeedEntry]) -> None:
        """Send what one page alone has not got yet."""
        trace = None if self._tracing is None else self._tracing.replay(self.target, entries)
        chunk = frames.entries(epoch, [entry.shown for entry in entries], named=page.named)
        taken = page.outlet.write(chunk, [entry.timestamp for entry in entries])
        if trace is not None:
            trace.end(int(taken))
        if not taken:
            page.close("slow")


def _entry(copy: LiveCopy) -> FeedEntry:
    """Read a copy's texts. Raises ValueError, and TypeError where one is no text."""
    if not all(isinstance(each, str) for each in copy):
        raise TypeError("a live copy holds texts alone")
    return FeedEntry(
        StreamId.parse(copy.id),
        StreamId.parse(copy.prev),
        copy.event,
        copy.data,
        int(copy.timestamp),
        copy.traceparent or None,
    )
