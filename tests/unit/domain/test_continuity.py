"""The rules of DELIVERY.md 5.2, 5.4 and 5.5 as tables, and how live copies lie to a cursor."""

import msgspec
import pytest

from eventbridge.domain.continuity import (
    UNWRITTEN,
    ResetReason,
    StreamView,
    disproof,
    fresh_start,
    gap_before,
    start_at,
)
from eventbridge.domain.position import START, Position, StreamId
from eventbridge.domain.stream_cursor import Link, Resynced, StreamCursor

EPOCH, OLD = "aaaaaaaa", "00000001"
LIFE = 1000
LARGEST = 2**64 - 1


def view(
    *ids: int,
    first_prev: int = 0,
    exists: bool = False,
    epoch: str | None = EPOCH,
    since: int | None = 100,
    now: int = 5000,
) -> StreamView:
    """A stream with entries `<ms>-0`."""
    return StreamView(
        epoch=epoch,
        since=since,
        now=now,
        first_id=StreamId(ids[0], 0) if ids else None,
        first_prev=StreamId(first_prev, 0) if ids else None,
        last_id=StreamId(ids[-1], 0) if ids else None,
        cursor_exists=exists,
        life_ms=LIFE,
        length=len(ids),
    )


class Entry(msgspec.Struct, frozen=True):
    id: StreamId
    prev: StreamId


def entry(ms: int, prev: int) -> Entry:
    return Entry(StreamId(ms, 0), StreamId(prev, 0))


@pytest.mark.parametrize(
    ("cursor", "stream", "reason"),
    [
        pytest.param(StreamId(10, 0), view(5, 10, exists=True), None, id="its entry exists"),
        pytest.param(StreamId(4, 0), view(5, 10, first_prev=4), None, id="exactly at a trimmed boundary"),
        pytest.param(StreamId(3, 0), view(5, 10, first_prev=4), ResetReason.TRIMMED, id="trimmed"),
        pytest.param(StreamId(7, 0), view(5, 10, first_prev=4), ResetReason.INVALID, id="between entries"),
        pytest.param(
            StreamId(7, 0), view(5, 10), ResetReason.INVALID, id="between entries of a whole stream"
        ),
        pytest.param(StreamId(LARGEST, LARGEST), view(5), ResetReason.INVALID, id="in the future"),
        pytest.param(StreamId(5001, 0), view(), ResetReason.INVALID, id="in the future without a stream"),
        pytest.param(START, view(5), ResetReason.INVALID, id="0-0 is not the first entry's prev"),
        pytest.param(START, view(now=1), ResetReason.INVALID, id="0-0 without a stream"),
        pytest.param(gap_before(5000), view(), None, id="nothing came"),
        pytest.param(gap_before(4501), view(), None, id="nothing came for almost half a life"),
        pytest.param(gap_before(4500), view(), ResetReason.EXPIRED, id="something may have come and gone"),
        pytest.param(gap_before(4800), view(4800), None, id="the first entry came"),
        pytest.param(gap_before(4200), view(4800), ResetReason.EXPIRED, id="perhaps not the first entry"),
        pytest.param(gap_before(4800), view(4700), ResetReason.INVALID, id="the clock went back"),
        pytest.param(
            gap_before(4800), view(4900, first_prev=4850), ResetReason.TRIMMED, id="no longer its first entry"
        ),
        pytest.param(StreamId(4800, 0), view(), ResetReason.EXPIRED, id="its stream is gone"),
        pytest.param(StreamId(4800, 0), view(4900), ResetReason.EXPIRED, id="its stream began anew"),
    ],
)
def test_a_cursor_of_this_epoch_is_continuous_only_where_it_is_proved(
    cursor: StreamId, stream: StreamView, reason: ResetReason | None
) -> None:
    assert disproof(Position(EPOCH, cursor), stream) is reason


@pytest.mark.parametrize(
    ("cursor", "stream", "reason"),
    [
        (StreamId(99, 0), view(50, 99, exists=True), None),
        (StreamId(100, 0), view(50, 100, exists=True), ResetReason.EPOCH),
        (StreamId(99, 0), view(100, first_prev=99), ResetReason.EPOCH),
        (gap_before(99), view(100), ResetReason.EPOCH),
        (StreamId(99, 0), view(epoch=None, since=None), ResetReason.EPOCH),
    ],
)
def test_a_cursor_of_another_epoch_needs_its_entry_and_that_older_than_the_epoch(
    cursor: StreamId, stream: StreamView, reason: ResetReason | None
) -> None:
    assert disproof(Position(OLD, cursor), stream) is reason


def test_a_page_on_a_shard_that_was_never_written_is_continuous_until_it_is() -> None:
    unwritten = view(epoch=None, since=None)

    position = fresh_start(unwritten)

    assert position == Position(UNWRITTEN, StreamId(4999, LARGEST))
    assert disproof(position, unwritten) is None
    assert disproof(position, view(5000)) is ResetReason.EPOCH


def test_a_fresh_page_starts_at_the_last_entry_or_just_before_now() -> None:
    assert fresh_start(view(10, 20)) == Position(EPOCH, StreamId(20, 0))
    assert fresh_start(view(now=5000)) == Position(EPOCH, StreamId(4999, LARGEST))


@pytest.mark.parametrize(
    ("stream", "oldest"),
    [
        (view(4800, 4900), (StreamId(4800, 0), START)),
        (view(4800, 4900, first_prev=4700), (StreamId(4800, 0), StreamId(4700, 0))),
        (view(), None),
    ],
)
def test_a_reset_names_a_position_that_is_continuous_with_what_is_sent_after_it(
    stream: StreamView, oldest: tuple[StreamId, StreamId] | None
) -> None:
    position = start_at(stream, oldest)

    assert disproof(position, stream) is None
    assert oldest is None or position.id < oldest[0]


def test_a_live_copy_is_sent_only_if_it_names_the_last_one_sent() -> None:
    cursor = StreamCursor(Position(EPOCH, StreamId(20, 0)))

    assert cursor.link(EPOCH, entry(30, 20)) is Link.NEXT
    assert cursor.link(EPOCH, entry(40, 30)) is Link.HOLE
    assert cursor.link(EPOCH, entry(20, 10)) is Link.KNOWN
    assert cursor.link(OLD, entry(30, 20)) is Link.HOLE
    assert cursor.link(EPOCH, entry(30, 0)) is Link.HOLE


def test_the_first_entry_of_a_stream_is_sent_unread_only_soon_after_there_was_none() -> None:
    cursor = StreamCursor.fresh(view(now=5000))

    assert cursor.link(EPOCH, entry(5000, 0)) is Link.NEXT
    assert cursor.link(EPOCH, entry(5499, 0)) is Link.NEXT
    assert cursor.link(EPOCH, entry(5500, 0)) is Link.HOLE
    assert cursor.link(EPOCH, entry(4990, 0)) is Link.HOLE
    assert StreamCursor(cursor.position).link(EPOCH, entry(5000, 0)) is Link.HOLE


def test_a_watched_stream_may_expire_without_a_reset() -> None:
    cursor = StreamCursor(Position(EPOCH, StreamId(4000, 0)))
    watched = cursor.read(view(4000, exists=True, now=4990), [], at_end=True)
    gone = view(now=5001)

    assert cursor.disproof(gone) is ResetReason.EXPIRED
    assert watched.disproof(gone) is None
    assert watched.read(gone, [], at_end=True).position == Position(EPOCH, StreamId(5000, LARGEST))


def test_a_read_that_was_overtaken_by_live_copies_adds_only_what_they_left_out() -> None:
    asked = StreamCursor(Position(EPOCH, StreamId(10, 0)))
    now = asked.sent(StreamId(20, 0))
    found = [entry(20, 10), entry(30, 20)]

    resynced = now.resynced(asked, view(10, 20, 30, exists=True), found, at_end=True)

    assert isinstance(resynced, Resynced)
    assert resynced.entries == [found[1]]
    assert resynced.cursor.position.id == StreamId(30, 0)
    assert now.resynced(asked, view(10, 20, 30, exists=True, epoch=OLD), found, at_end=True) is None
    trimmed = view(30, first_prev=25)
    assert now.resynced(asked, trimmed, [entry(30, 25)], at_end=True) is None


def test_live_copies_that_came_during_a_read_follow_it_in_their_order_or_leave_a_hole() -> None:
    cursor = StreamCursor(Position(EPOCH, StreamId(20, 0)))

    merged = cursor.merge([(EPOCH, entry(20, 10)), (EPOCH, entry(30, 20)), (EPOCH, entry(40, 30))])

    assert merged is not None
    assert [found.id.ms for found in merged.entries] == [30, 40]
    assert merged.cursor.position.id == StreamId(40, 0)
    assert cursor.merge([(EPOCH, entry(40, 30)), (EPOCH, entry(30, 20))]) is None
