"""Following one stream: what has been sent of it, what a read proves, and where a live copy belongs."""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

import msgspec

from .continuity import ResetReason, StreamView, disproof, fresh_start, gap_before, is_gap, trusted_ms
from .position import START, Position, StreamId


class Link(Enum):
    """How an entry lies to a cursor."""

    NEXT = auto()
    """The cursor's successor: to be sent."""
    KNOWN = auto()
    """At or before the cursor: was sent, or is no concern of the page."""
    HOLE = auto()
    """Whether something lies between cannot be told from the entry: read the stream."""


class Linked(Protocol):
    """An entry that names the one before it."""

    @property
    def id(self) -> StreamId:
        """Its id."""

    @property
    def prev(self) -> StreamId:
        """The id of the entry before it, `0-0` for the first of its stream."""


EntryT = TypeVar("EntryT", bound=Linked)


class StreamCursor(msgspec.Struct, frozen=True, gc=False):
    """A point in a stream up to which everything was sent, and when that was last checked."""

    position: Position
    checked_ms: int = 0
    """The store's clock when a read found nothing after the position; 0 where none has yet."""
    trusted_ms: int = 0
    """How long after `checked_ms` nothing unseen can have expired (`continuity.trusted_ms`)."""

    @classmethod
    def fresh(cls, view: StreamView) -> Self:
        """The stream's end as the view shows it."""
        return cls(fresh_start(view), view.now, trusted_ms(view.life_ms))

    def disproof(self, view: StreamView) -> ResetReason | None:
        """Why what was read after the position is not proved to be all that follows; None where it is.

        A stream that ended by its age while it was watched lost nothing unseen: where the position itself
        proves nothing any more, the moment of the last check may.
        """
        reason = disproof(self.position, view)
        if reason is ResetReason.EXPIRED and self.checked_ms:
            checked = Position(self.position.epoch, gap_before(self.checked_ms))
            return reason if disproof(checked, view) else None
        return reason

    def link(self, epoch: str, entry: Linked) -> Link:
        """How a live copy lies to this cursor: only the next one by its own word may be sent unread."""
        if epoch != self.position.epoch:
            return Link.HOLE
        last = self.position.id
        if entry.prev == last and last != START:
            return Link.NEXT
        if entry.id <= last:
            return Link.HOLE if is_gap(last) else Link.KNOWN
        if entry.prev == START and is_gap(last) and self._trusted(entry.id.ms):
            return Link.NEXT
        return Link.HOLE

    def sent(self, identity: StreamId) -> Self:
        """The cursor after the next entry was sent."""
        return type(self)(Position(self.position.epoch, identity), self.checked_ms, self.trusted_ms)

    def doubted(self) -> Self:
        """The cursor where what expired since may not have been seen: no live copy begins its stream."""
        return msgspec.structs.replace(self, trusted_ms=0)

    def read(self, view: StreamView, entries: Sequence[Linked], *, at_end: bool) -> Self:
        """The cursor after the entries of a proved read were sent; `at_end`: it asked for more than came.

        Where there is no stream, the position moves on to the moment of the read.
        """
        if entries:
            position = Position(view.known_epoch, entries[-1].id)
        elif view.last_id is None and self.position.id < gap_before(view.now):
            position = fresh_start(view)
        else:
            position = Position(view.known_epoch, self.position.id)
        if not at_end:
            return msgspec.structs.replace(self, position=position)
        return type(self)(position, view.now, trusted_ms(view.life_ms))

    def resynced(
        self, asked: Self, view: StreamView, entries: Sequence[EntryT], *, at_end: bool
    ) -> "Resynced[EntryT] | ResetReason | None":
        """What a read that began at `asked` adds here, where live copies may have moved on meanwhile.

        None: the moves and the read do not go together, read again.
        """
        if self.position == asked.position:
            reason = asked.disproof(view)
            return reason or Resynced(asked.read(view, entries, at_end=at_end), entries)
        if view.known_epoch != self.position.epoch or asked.disproof(view):
            return None
        new = [entry for entry in entries if entry.id > self.position.id]
        return Resynced(self.read(view, new, at_end=at_end) if new else self, new)

    def at_end(self, empty: StreamView, last_id: StreamId | None) -> Self | None:
        """The cursor once the stream was found to end at it, `empty` being what a stream without an entry
        would have shown then; None where that is not proved: read the stream."""
        if last_id is None:
            return None if self.disproof(empty) else self.read(empty, (), at_end=True)
        if last_id != self.position.id or empty.known_epoch != self.position.epoch:
            return None
        return type(self)(self.position, empty.now, trusted_ms(empty.life_ms))

    def merge(self, copies: "Sequence[tuple[str, EntryT]]") -> "Resynced[EntryT] | None":
        """What the live copies (each with its epoch) add that arrived since the read began by which the
        cursor came to its place; None where they leave a hole."""
        cursor = self
        following: list[EntryT] = []
        for epoch, entry in copies:
            link = cursor.link(epoch, entry)
            if link is Link.HOLE:
                return None
            if link is Link.NEXT:
                cursor = cursor.sent(entry.id)
                following.append(entry)
        return Resynced(cursor, following)

    def _trusted(self, ms: int) -> bool:
        return self.checked_ms <= ms < self.checked_ms + self.trusted_ms


class Resynced(NamedTuple, Generic[EntryT]):
    """Entries to send, and the cursor after them."""

    cursor: StreamCursor
    entries: Sequence[EntryT]
