"""The demo's two screens, drawn from a board without any server."""

import io
from collections.abc import Sequence

import pytest
from rich.console import Console

from eventbridge.domain.delivery import Partition
from eventbridge.entrypoints.demo.board import Board, BridgeState, RedisState, age_text, pages_for, snippet
from eventbridge.entrypoints.demo.live_table import picture
from eventbridge.entrypoints.demo.plain_lines import PlainLines


@pytest.fixture
def board() -> Board:
    board = Board(pages_for([f"user {number}" for number in range(6)]), starting="", keyboard=True)
    board.address, board.bridge = "http://127.0.0.1:8080/", BridgeState.RUNS
    page = board.pages[0]
    page.events, page.event_type, page.age_ms = 12, "Genesis.Session.Theme.Proposed", 8
    page.text = snippet({"title": "字里行间的雨", "version": 2})
    board.numbers.published(appended=7, duplicates=3, timestamps=[], now_ms=0)
    return board


def drawn(board: Board, width: int, height: int) -> Sequence[str]:
    console = Console(width=width, height=height, file=io.StringIO(), record=True)
    console.print(picture(board, width, height, now=0.0))
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_the_table_shows_what_a_page_got_and_how_the_bridge_is(board: Board) -> None:
    lines = drawn(board, 80, 24)

    (row,) = [line for line in lines if line.startswith("Ada")]
    assert row.split()[:3] == ["Ada", "12", "Theme.Proposed"]
    assert "字里行间的雨 · version 2" in row
    assert row.endswith("8 ms")
    text = "\n".join(lines)
    assert "circuit closed" in text
    assert "published 7" in text
    assert "duplicates 3" in text
    assert "r stops Redis  k kills the bridge  q ends" in text
    assert lines[0].startswith("EventBridge  http://127.0.0.1:8080/")


@pytest.mark.parametrize("width", [30, 40, 59, 60, 80, 109, 110, 200])
@pytest.mark.parametrize("height", [16, 24, 40])
def test_the_picture_fits_into_the_terminal(board: Board, width: int, height: int) -> None:
    for number in range(20):
        board.note(f"{number}: something that takes a long sentence to say, longer than most terminals")

    lines = drawn(board, width, height)

    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_users_that_find_no_room_are_counted() -> None:
    board = Board(pages_for([f"user {number}" for number in range(48)]), starting="")

    lines = drawn(board, 80, 24)

    (rest,) = [line for line in lines if line.endswith("more users")]
    shown = 48 - int(rest.split()[1])
    assert shown > 5
    assert f"{board.pages[shown - 1].name} " in "\n".join(lines)
    assert len(lines) <= 24


def test_a_stopped_redis_a_halted_partition_and_a_lost_event_are_told(board: Board) -> None:
    board.redis = RedisState.STOPPED
    board.numbers.circuit("half_open", 1.0)
    board.numbers.halted(Partition("genesis", 3), "lost")
    board.check.send("session", "a")
    board.check.send("session", "b")
    board.check.arrive("session", "b")

    text = "\n".join(drawn(board, 80, 24))

    assert "circuit half-open" in text
    assert "Redis is stopped" in text
    assert "genesis/3 is halted: lost" in text
    assert "1 missing, 0 twice" in text
    assert "r starts Redis again" in text


def test_a_killed_bridge_and_what_waits_for_it_are_told(board: Board) -> None:
    board.bridge = BridgeState.KILLED

    text = "\n".join(drawn(board, 80, 24))

    assert "Bridge  was killed" in text
    assert "k starts the bridge again" in text
    assert board.broken == "the bridge, which was killed"


def test_the_first_line_in_a_pipe_is_the_page() -> None:
    out, err = io.StringIO(), io.StringIO()

    PlainLines(out, err).opened("http://127.0.0.1:8080/")

    assert out.getvalue().startswith("Open http://127.0.0.1:8080/ in a browser")


def test_a_line_in_a_pipe_tells_user_event_age_and_text(board: Board) -> None:
    out = io.StringIO()

    PlainLines(out, io.StringIO()).arrived(board.pages[0])

    _time, *words = out.getvalue().split()
    assert words[:4] == ["Ada", "Genesis.Session.Theme.Proposed", "8", "ms"]
    assert words[4:] == ["字里行间的雨", "·", "version", "2"]


def test_text_of_events_cannot_move_the_cursor() -> None:
    assert snippet({"title": "a\x1b[2Jb\nc"}) == "a [2Jb c"
    assert snippet("plain\ttext") == "plain text"
    assert snippet(None) == "null"


def test_ages_are_milliseconds_and_later_seconds() -> None:
    assert [age_text(age) for age in (None, 0, 9_999, 10_000, 83_450)] == [
        "",
        "0 ms",
        "9999 ms",
        "10.0 s",
        "83.5 s",
    ]


def test_every_user_has_a_name_of_their_own() -> None:
    names = [page.name for page in pages_for([str(number) for number in range(48)])]

    assert len(set(names)) == 48
