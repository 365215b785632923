"""Is a page's cursor still continuous with its stream? The rules of DELIVERY.md 5.2, 5.4 and 5.5.

A cursor is one of two things. It names an entry: the last one that the page has. Or it names a moment at
which there was no stream (`gap_before`), in the sequence number that no entry has.

What the rules rest on: an id that was given out is not given to another entry after a rollback, and the
store's clock never falls behind its own highest reading by as much as a quarter of a stream's life.
"""

from enum import StrEnum
from typing import Final

import msgspec

from .position import START, Position, StreamId

UNWRITTEN: Final = "00000000"
"""Stands for the epoch where the shard was never written, so that a page has a position there, too."""

_LARGEST_SEQUENCE: Final = 2**64 - 1


class ResetReason(StrEnum):
    """Why a page is told that something may be missing (DELIVERY.md 5.5)."""

    EPOCH = "epoch"
    TRIMMED = "trimmed"
    EXPIRED = "expired"
    INVALID = "invalid"
    REPLAY_LIMIT = "replay_limit"


class StreamView(msgspec.Struct, frozen=True, gc=False):
    """What the store knew of a stream at one moment, as far as a cursor's continuity depends on it."""

    epoch: str | None
    """None where the shard was never written."""
    since: int | None
    """When the epoch began, milliseconds of the store's clock."""
    now: int
    """The store's clock, milliseconds."""
    first_id: StreamId | None
    """The first entry kept; None where there is no stream."""
    first_prev: StreamId | None
    """Its `prev`."""
    last_id: StreamId | None
    cursor_exists: bool
    """Whether the entry that the cursor names is there."""
    life_ms: int
    """How long a stream lives after its last entry."""
    length: int
    """How many entries are kept; 0 where there is no stream."""

    @property
    def known_epoch(self) -> str:
        """The epoch as a position names it."""
        return UNWRITTEN if self.epoch is None else self.epoch


def gap_before(ms: int) -> StreamId:
    """Return the id above all that were given before this millisecond, and below all given from then on."""
    return StreamId(ms, 0).before()


def is_gap(cursor: StreamId) -> bool:
    """Whether the cursor names a moment without a stream, not an entry."""
    return cursor.sequence == _LARGEST_SEQUENCE


def trusted_ms(life_ms: int) -> int:
    """How long nothing that was appended can have expired, however the store's clock was set meanwhile.

    A stream lives `life_ms` of the store's clock. The clock may have gone back by a quarter of that before
    the entry was appended, and again after the stream expired, so that only half of it is sure.
    """
    return life_ms // 2


def disproof(cursor: Position, view: StreamView) -> ResetReason | None:
    """Why the continuity of the cursor with the stream is not proved; None where it is."""
    if cursor.id == START:
        return ResetReason.INVALID
    if cursor.epoch != view.known_epoch:
        older = view.since is not None and cursor.id.ms < view.since
        return None if view.cursor_exists and older else ResetReason.EPOCH
    if view.cursor_exists or view.first_prev == cursor.id:
        return None
    return _disproof_without_entry(cursor.id, view)


def _disproof_without_entry(cursor: StreamId, view: StreamView) -> ResetReason | None:
    edge = gap_before(view.now) if view.first_id is None else view.first_id
    if cursor > edge:
        return ResetReason.INVALID
    if view.first_prev is not None and view.first_prev != START:
        return ResetReason.TRIMMED
    if is_gap(cursor) and edge.ms - cursor.ms < trusted_ms(view.life_ms):
        return None
    return ResetReason.EXPIRED


def fresh_start(view: StreamView) -> Position:
    """Where a page begins that wants only what comes from now on: the stream's end, or now."""
    return Position(view.known_epoch, view.last_id or gap_before(view.now))


def start_at(view: StreamView, oldest: tuple[StreamId, StreamId] | None) -> Position:
    """The position after which an entry (its id and `prev`) is the first one; the fresh start without one.

    It is the one that a reset names (DELIVERY.md 5.5), with the first entry that is sent after it.
    """
    if oldest is None:
        return fresh_start(view)
    identity, prev = oldest
    return Position(view.known_epoch, gap_before(identity.ms) if prev == START else prev)
