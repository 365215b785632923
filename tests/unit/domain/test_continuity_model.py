"""Pages, explored: whatever happens, each event reaches the page or a reset is announced (DELIVERY.md G3).

And the check on the check: with one rule taken away, the exploration finds a page that misses an event.
"""

from collections.abc import Callable, Sequence

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from eventbridge.adapters.memory import shard
from eventbridge.domain import stream_cursor
from eventbridge.domain.continuity import UNWRITTEN, StreamView, disproof, fresh_start
from eventbridge.domain.position import START, Position
from eventbridge.domain.stream_cursor import Link, Linked, StreamCursor

from .reader_world import ReaderWorld

Step = Callable[[ReaderWorld, int, int], None]
History = Sequence[tuple[Step, int, int]]

QUIET: Sequence[Step] = (
    *[ReaderWorld.append] * 3,
    *[ReaderWorld.progress] * 6,
    *[ReaderWorld.pass_time] * 2,
    ReaderWorld.trim,
    *[ReaderWorld.connect] * 2,
    *[ReaderWorld.ask] * 3,
    *[ReaderWorld.answer] * 3,
    *[ReaderWorld.catch_up] * 3,
    *[ReaderWorld.hear] * 4,
    ReaderWorld.lose_copy,
    ReaderWorld.beat,
    ReaderWorld.receive,
    *[ReaderWorld.disconnect] * 2,
)
WILD: Sequence[Step] = (
    *QUIET,
    *[ReaderWorld.step_back] * 2,
    ReaderWorld.assign,
    ReaderWorld.send,
    ReaderWorld.deliver,
    ReaderWorld.reply,
    ReaderWorld.checkpoint,
    *[ReaderWorld.roll_back] * 3,
    ReaderWorld.lose_state,
)
AGEING: Sequence[Step] = (
    ReaderWorld.append,
    *[ReaderWorld.progress] * 2,
    *[ReaderWorld.pass_time] * 3,
    *[ReaderWorld.step_back] * 2,
    *[ReaderWorld.catch_up] * 2,
    ReaderWorld.receive,
    *[ReaderWorld.disconnect] * 2,
)
HEARING: Sequence[Step] = (
    ReaderWorld.append,
    *[ReaderWorld.progress] * 2,
    ReaderWorld.catch_up,
    *[ReaderWorld.hear] * 3,
    *[ReaderWorld.lose_copy] * 2,
    ReaderWorld.receive,
)


def histories(steps: Sequence[Step]) -> st.SearchStrategy[History]:
    step = st.tuples(st.sampled_from(steps), st.integers(0, 11), st.integers(0, 11))
    return st.lists(step, min_size=20, max_size=100)


def play(history: History, *, pages_first: bool = False) -> ReaderWorld:
    """Start from two bridges that read one partition each and two pages that are connected; with
    `pages_first` they were there before anything was written."""
    world = ReaderWorld()
    if pages_first:
        world.catch_up(0, 0)
        world.catch_up(1, 0)
    for partition in (0, 1):
        world.append(partition, 2 + partition)
        world.assign(partition, 1)
    world.catch_up(0, 0)
    world.catch_up(1, 0)
    for step, a, b in history:
        step(world, a, b)
    return world


def find_a_miss(history: History) -> None:
    world = play(history, pages_first=len(history) % 3 == 0)
    world.quiesce(anew=len(history) % 2 == 0)
    assert world.missed() == {}


@settings(
    max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(histories(WILD))
def test_every_event_reaches_the_page_or_a_reset_is_announced(history: History) -> None:
    find_a_miss(history)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(histories(QUIET))
def test_without_rollbacks_a_page_is_reset_only_where_something_unseen_is_gone_or_too_much_time_has_passed(
    history: History,
) -> None:
    world = play(history)
    world.quiesce(anew=False)

    assert world.missed() == {}
    assert world.false_resets == []


def takes_a_lower_prev_as_proof(patch: pytest.MonkeyPatch) -> None:
    """The first entry after the cursor has a `prev` at or below it."""

    def laxer(cursor: Position, view: StreamView) -> object:
        if view.epoch == cursor.epoch and view.first_prev is not None and view.first_prev <= cursor.id:
            return None
        return disproof(cursor, view)

    patch.setattr(stream_cursor, "disproof", laxer)


def lets_the_beginning_prove(patch: pytest.MonkeyPatch) -> None:
    """A page without a stream starts at `0-0`, and the first entry's `prev` proves it."""

    def from_zero(view: StreamView) -> Position:
        return fresh_start(view) if view.last_id else Position(view.known_epoch, START)

    def laxer(cursor: Position, view: StreamView) -> object:
        same = cursor.epoch == view.epoch
        if same and cursor.id == START and view.first_prev in {START, None}:
            return None
        return disproof(cursor, view)

    patch.setattr(stream_cursor, "fresh_start", from_zero)
    patch.setattr(stream_cursor, "disproof", laxer)


def ignores_epochs(patch: pytest.MonkeyPatch) -> None:
    """A cursor of another epoch is judged like one of this."""

    def laxer(cursor: Position, view: StreamView) -> object:
        return disproof(Position(view.known_epoch, cursor.id), view)

    patch.setattr(stream_cursor, "disproof", laxer)


def trusts_an_unwritten_shard(patch: pytest.MonkeyPatch) -> None:
    """A page that was there before the first write is judged as if it had come in the first epoch."""

    def laxer(cursor: Position, view: StreamView) -> object:
        epoch = view.known_epoch if cursor.epoch == UNWRITTEN else cursor.epoch
        return disproof(Position(epoch, cursor.id), view)

    patch.setattr(stream_cursor, "disproof", laxer)


def sends_live_copies_unchecked(patch: pytest.MonkeyPatch) -> None:
    """A live copy above the cursor is sent, whatever lies between."""

    def link(self: StreamCursor, epoch: str, entry: Linked) -> Link:
        if epoch != self.position.epoch:
            return Link.HOLE
        return Link.NEXT if entry.id > self.position.id else Link.KNOWN

    patch.setattr(StreamCursor, "link", link)


def trusts_a_whole_life(patch: pytest.MonkeyPatch) -> None:
    """The age of a cursor is not held to half a life, in spite of a clock that may go back."""

    def laxer(cursor: Position, view: StreamView) -> object:
        return disproof(cursor, msgspec.structs.replace(view, life_ms=view.life_ms * 2))

    patch.setattr(stream_cursor, "disproof", laxer)


def gives_ids_again(patch: pytest.MonkeyPatch) -> None:
    """Ids come from the clock alone, as Redis chooses them: after a rollback they may be the same."""

    def next_id(last: str, clock_ms: int, salt: int) -> str:
        del salt
        ms, sequence = map(int, last.split("-"))
        return f"{clock_ms}-0" if clock_ms > ms else f"{ms}-{sequence + 1}"

    patch.setattr(shard, "next_id", next_id)


@pytest.mark.parametrize(
    ("mutate", "steps"),
    [
        (gives_ids_again, WILD),
        (takes_a_lower_prev_as_proof, WILD),
        (lets_the_beginning_prove, WILD),
        (ignores_epochs, WILD),
        (trusts_an_unwritten_shard, WILD),
        (sends_live_copies_unchecked, HEARING),
        (trusts_a_whole_life, AGEING),
    ],
)
def test_the_model_catches_a_gateway_without_one_of_its_rules(
    mutate: Callable[[pytest.MonkeyPatch], None], steps: Sequence[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)

    @settings(
        max_examples=3000,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(histories(steps))
    def explore(history: History) -> None:
        find_a_miss(history)

    with pytest.raises(AssertionError):
        explore()
