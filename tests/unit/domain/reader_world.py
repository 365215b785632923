"""Pages beside the delivery protocol's small world: they connect, read, get live copies, and lose their way.

Each page runs the code of `eventbridge.domain.stream_cursor`; what is made up here is what lies between:
reads that return late, live copies that are lost, doubled or out of order, connections that end with bytes
under way, streams that are trimmed or expire, clocks that go back. Rollbacks, of epochs too, are the world's.
"""

from collections.abc import Sequence
from typing import NamedTuple

from eventbridge.adapters.memory.shard import EMPTY, MemoryShard, StreamEntry
from eventbridge.domain.assignment import AssignmentPolicy, OnStateLost
from eventbridge.domain.continuity import ResetReason, StreamView, start_at, trusted_ms
from eventbridge.domain.delivery import Answer, Batch, Partition
from eventbridge.domain.position import Position, StreamId
from eventbridge.domain.routing import Target
from eventbridge.domain.stream_cursor import Link, Resynced, StreamCursor

from .delivery_world import PARTITIONS, SHARDS, TARGETS, World

LIFE_MS = 48
CLOCK_STEP_MS = LIFE_MS // 4 - 1
"""How far the clock may fall behind its highest reading."""
READERS = 4

Source = tuple[Partition, int]


class TimedShard(MemoryShard):
    """A shard whose streams expire and are trimmed."""

    def __init__(self) -> None:
        self.appended_at: dict[str, int] = {}
        super().__init__()

    def _append(self, target: Target, event: str, data: bytes, **fields: object) -> str:
        identity = super()._append(target, event, data, **fields)  # type: ignore[arg-type] # passed on as given
        self.appended_at[identity] = self.clock_ms
        return identity

    def tick(self, now: int) -> None:
        self.clock_ms = now
        for target, entries in list(self._streams.items()):
            if self.appended_at[entries[-1].id] + LIFE_MS <= now:
                del self._streams[target]

    def trim(self, target: Target, keep: int) -> None:
        if target in self._streams:
            del self._streams[target][:-keep]


class ReadEntry(NamedTuple):
    """An entry as a page reads it."""

    id: StreamId
    prev: StreamId
    source: Source

    @classmethod
    def of(cls, entry: StreamEntry) -> "ReadEntry":
        assert entry.source is not None
        return cls(StreamId.parse(entry.id), StreamId.parse(entry.prev), entry.source)


class Copy(NamedTuple):
    """A live copy on its way."""

    target: Target
    epoch: str
    entry: ReadEntry


class ReadUnderWay(NamedTuple):
    """What a read found, on its way back."""

    asked: StreamCursor
    view: StreamView
    entries: Sequence[ReadEntry]
    at_end: bool
    arrived: int
    """How many live copies had come to the page when the read was sent."""


class Page:
    """A browser's page, and the server's side of its connection while there is one."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.position: Position | None = None
        """The browser's last event id."""
        self.covered: set[Source] = set()
        """What the page's state holds from its start, or from its last reset."""
        self.got: set[Source] = set()
        self.wire: list[tuple[Position, Source | ResetReason | None]] = []
        """Frames under way: an event, a reset, or (None) a bare id."""
        self.cursor: StreamCursor | None = None
        self.live = False
        self.read: ReadUnderWay | None = None
        self.copies: list[tuple[str, ReadEntry]] = []


class ReaderWorld(World):
    """The world with pages."""

    def __init__(self) -> None:
        super().__init__(TimedShard)
        self.policy = AssignmentPolicy(on_state_lost=OnStateLost.COMMITTED)
        self.now = self.highest = 1000
        self.pages = [Page(TARGETS[n % 2]) for n in range(READERS)]
        self.copies: list[Copy] = []
        self.applied: dict[Target, set[Source]] = {target: set() for target in TARGETS}
        """All that was ever in the stream."""
        self.given: dict[Target, set[StreamId]] = {target: set() for target in TARGETS}
        """All ids that were ever in the stream."""
        self.false_resets: list[str] = []

    # Steps of the store; `a` and `b` choose among what there is.

    def append(self, a: int, b: int) -> None:
        """Records reach the log, most of them for the pages' users."""
        targets: Sequence[Target | None] = (TARGETS[0], TARGETS[1], TARGETS[0], TARGETS[1], None)
        for n in range(1 + b % 2):
            self.log[PARTITIONS[a % 2]].append(targets[(a // 2 + n) % len(targets)])

    def pass_time(self, a: int, b: int) -> None:
        """Time passes, which no other step does; in one of twelve cases as much as a stream lives."""
        self.now += LIFE_MS if a == 11 else 1 + b
        self.highest = max(self.highest, self.now)

    def step_back(self, _a: int, b: int) -> None:
        """The clock is set back."""
        self.now = max(self.now - b, self.highest - CLOCK_STEP_MS)

    def trim(self, a: int, b: int) -> None:
        """A stream loses its oldest entries."""
        target = self.pages[a % READERS].target
        self._shard(target).trim(target, 1 + b % 4)

    def lose_state(self, a: int, b: int) -> None:
        """What is applied is committed, a shard comes back empty, and the policy is to go on from there."""
        for owner, bridge in enumerate(self.bridges):
            for partition, reader in bridge.items():
                self._work_off(partition, reader)
            for shard in range(SHARDS):
                self.checkpoint(owner, shard)
        while self.calls:
            self.deliver(0, 1)
        while self.replies:
            self.reply(0, 1)
        for number in (0, 1):
            self.commit(number, b)
        self.shards[a % 2].restore(EMPTY)
        self.catch_up(b, 0)
        self.bridges = [{} for _ in self.bridges]
        for number in (0, 1):
            self.assign(number, 1)

    # Steps of the pages.

    def connect(self, a: int, _b: int) -> None:
        """A page connects, for the first time or again."""
        page = self.pages[a % READERS]
        if page.cursor is not None:
            return
        if page.position is not None:
            page.cursor = StreamCursor(page.position)
            return
        page.cursor = StreamCursor.fresh(self._view(page.target, None)[0])
        page.covered = set(self.applied[page.target])
        page.position = page.cursor.position

    def ask(self, a: int, b: int) -> None:
        """A page's stream is read on: to catch up, for a resync, or because of a hole."""
        page = self.pages[a % READERS]
        if page.cursor is not None and page.read is None:
            count = 1 + b % 4
            view, entries = self._view(page.target, page.cursor.position.id)
            page.read = ReadUnderWay(
                page.cursor, view, entries[:count], len(entries) < count, len(page.copies)
            )

    def answer(self, a: int, _b: int) -> None:
        """What was read comes back."""
        page = self.pages[a % READERS]
        if page.cursor is None or page.read is None:
            return
        read, page.read = page.read, None
        found = page.cursor.resynced(read.asked, read.view, read.entries, at_end=read.at_end)
        if found is None:
            page.live = False
        elif isinstance(found, ResetReason):
            self._reset(page, found, read)
        else:
            self._send(page, found)
            merged = found.cursor.merge(page.copies[read.arrived :]) if read.at_end else None
            page.live = page.live and read.at_end
            if not page.live and merged is not None:
                self._send(page, merged)
                page.live = True

    def catch_up(self, a: int, _b: int) -> None:
        """A page gets to the end of its stream without any trouble."""
        page = self.pages[a % READERS]
        for _ in range(100):
            self.connect(a, 0)
            self.ask(a, 3)
            self.answer(a, 0)
            if page.live:
                return
        raise AssertionError("the page never came to the end of its stream")

    def hear(self, a: int, b: int) -> None:
        """A live copy arrives at all pages of its user, perhaps not for the last time."""
        if not self.copies:
            return
        copy = self.copies[a % min(len(self.copies), 3)]
        if b % 4:
            self.copies.remove(copy)
        for page in self.pages:
            if page.target == copy.target and page.cursor is not None:
                page.copies.append((copy.epoch, copy.entry))
                link = page.cursor.link(copy.epoch, copy.entry)
                if page.live and link is Link.NEXT:
                    self._send(page, Resynced(page.cursor.sent(copy.entry.id), [copy.entry]))
                elif link is Link.HOLE:
                    page.live = False

    def lose_copy(self, a: int, _b: int) -> None:
        """A live copy never arrives."""
        if self.copies:
            self.copies.pop(a % len(self.copies))

    def beat(self, a: int, _b: int) -> None:
        """A heartbeat tells a page its position."""
        page = self.pages[a % READERS]
        if page.cursor is not None and page.live:
            page.wire.append((page.cursor.position, None))

    def receive(self, a: int, _b: int) -> None:
        """A browser gets what is under way."""
        page = self.pages[a % READERS]
        self._receive(page, len(page.wire))

    def disconnect(self, a: int, b: int) -> None:
        """A connection ends; some of what is under way still arrives."""
        page = self.pages[a % READERS]
        self._receive(page, b % (len(page.wire) + 1))
        page.wire.clear()
        page.copies.clear()
        page.cursor = page.read = None
        page.live = False

    # What the steps are made of.

    def missed(self) -> dict[int, set[Source]]:
        """Per page what it was never told, after all that was accepted was applied."""
        missing: dict[int, set[Source]] = {}
        for number, page in enumerate(self.pages):
            if page.position is not None:
                self.disconnect(number, number * 5)
                self.catch_up(number, 0)
                self.receive(number, 0)
                if missed := self.applied[page.target] - page.covered - page.got:
                    missing[number] = missed
        return missing

    def _apply(self, batch: Batch) -> Sequence[Answer]:
        shard = self.shards[batch.shard]
        assert isinstance(shard, TimedShard)
        self.history[batch.shard].append(shard.snapshot())
        self.epochs += 1
        shard.tick(self.now)
        before = {entry.id for _, entries in shard.streams() for entry in entries}
        answers = shard.apply(batch, f"epoch-{self.epochs}")
        for target, entries in shard.streams():
            for entry in entries:
                if entry.id not in before:
                    read = ReadEntry.of(entry)
                    self.applied[target].add(read.source)
                    self.given[target].add(read.id)
                    self.copies.append(Copy(target, shard.epoch or "", read))
        return answers

    def _view(self, target: Target, after: StreamId | None) -> tuple[StreamView, list[ReadEntry]]:
        shard = self._shard(target)
        shard.tick(self.now)
        entries = [ReadEntry.of(entry) for entry in shard.stream(target)]
        view = StreamView(
            epoch=shard.epoch,
            since=shard.since,
            now=self.now,
            first_id=entries[0].id if entries else None,
            first_prev=entries[0].prev if entries else None,
            last_id=entries[-1].id if entries else None,
            cursor_exists=any(entry.id == after for entry in entries),
            life_ms=LIFE_MS,
            length=len(entries),
        )
        return view, [entry for entry in entries if after is None or entry.id > after]

    def _send(self, page: Page, found: Resynced[ReadEntry]) -> None:
        epoch = found.cursor.position.epoch
        page.wire += [(Position(epoch, entry.id), entry.source) for entry in found.entries]
        page.cursor = found.cursor

    def _reset(self, page: Page, reason: ResetReason, read: ReadUnderWay) -> None:
        first = read.view.first_id, read.view.first_prev
        oldest = (first[0], first[1]) if first[0] is not None and first[1] is not None else None
        self._judge(page, reason, read)
        page.live = False
        page.cursor = StreamCursor(start_at(read.view, oldest))
        page.wire.append((page.cursor.position, reason))

    def _judge(self, page: Page, reason: ResetReason, read: ReadUnderWay) -> None:
        """Where nothing was rolled back and no clock set: was the reset due?"""
        kept = {ReadEntry.of(entry).id for entry in self._shard(page.target).stream(page.target)}
        unseen = {one for one in self.given[page.target] if one > read.asked.position.id} - kept
        old = read.view.now - read.asked.position.id.ms >= trusted_ms(LIFE_MS)
        if not unseen and not (old and reason is ResetReason.EXPIRED):
            self.false_resets.append(f"{reason} at {read.asked} with {read.view}")

    def _receive(self, page: Page, count: int) -> None:
        for position, what in page.wire[:count]:
            page.position = position
            if isinstance(what, ResetReason):
                page.covered = set(self.applied[page.target])
            elif what is not None:
                page.got.add(what)
        del page.wire[:count]

    def _shard(self, target: Target) -> TimedShard:
        shard = self.shards[TARGETS.index(target) % SHARDS]
        assert isinstance(shard, TimedShard)
        return shard
