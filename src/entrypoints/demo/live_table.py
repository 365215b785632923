"""The demo at a terminal: a table of users and what has arrived for them, drawn anew as it changes."""

import time
from collections.abc import Iterable

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .board import OPEN, Board, BridgeState, Note, RedisState, UserPage, age_text

_FRESH_SECONDS = 0.7
"""For so long an event that has arrived is shown brighter."""

_NARROW = 60
"""Below so many columns the text of the events is left out."""

_WIDE = 110
"""From so many columns on event types are shown whole."""

_PREFIX = "Genesis.Session."

_CIRCUIT = {"closed": "green", "open": "bold red", "half-open": "bold yellow"}

_ROOMY = 18
"""From so many lines on there are empty ones between the parts."""

Piece = tuple[str, str]
"""A text that is not broken, and its style."""


class LiveTable:
    """A `Screen` that fills the terminal, and gives it back in the end."""

    def __init__(self, board: Board, console: Console) -> None:
        self._board = board
        self._console = console
        self._live = Live(
            console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )

    def opened(self, address: str) -> None:
        """Said on the screen that comes back in the end, too; then take the alternate one."""
        self._console.print(OPEN.format(address), highlight=False)
        self._live.start()

    def arrived(self, page: UserPage) -> None:
        """Seen at the next drawing."""

    def noted(self, note: Note) -> None:
        """Seen at the next drawing."""

    def draw(self) -> None:
        """Draw the board as it is, in the size that the terminal has now."""
        if not self._live.is_started:
            return
        width, height = self._console.size
        self._live.update(picture(self._board, width, height, time.monotonic()), refresh=True)

    def close(self) -> None:
        """Leave the alternate screen."""
        self._live.stop()


def picture(board: Board, width: int, height: int, now: float) -> RenderableType:
    """The whole screen; users that find no room are counted, notes take what is left."""
    state = [line for pieces in (_bridge(board), _delivery(board)) for line in _flow(pieces, width)]
    keys = _flow(_keys(board), width)
    gap = [Text()] if height >= _ROOMY else []
    around = 2 + len(state) + len(keys) + 4 * len(gap)  # with the title, and the heading of the table
    room = max(1, height - around - min(3, len(board.notes), height // 8))
    shown = board.pages if len(board.pages) <= room else board.pages[: max(1, room - 1)]
    hidden = len(board.pages) - len(shown)
    more = [Text(f"and {hidden} more users", style="dim")] if hidden else []
    left = height - around - len(shown) - len(more)
    notes = [
        _one_line(f"{note.at:%H:%M:%S}  {note.text}", "yellow")
        for note in (list(board.notes)[-left:] if left > 0 else [])
    ]
    return Group(
        _title(board, width), *gap, _table(shown, width, now), *more, *gap, *state, *gap, *notes, *gap, *keys
    )


def _title(board: Board, width: int) -> Text:
    title = Text("EventBridge", style="bold", no_wrap=True, overflow="ellipsis")
    if board.address:
        title.append("  ").append(board.address, style="cyan not bold")
    if width >= _WIDE or not board.address:
        title.append("  Kafka → filter → each user's stream in Redis → page", style="dim not bold")
    return title


def _table(pages: Iterable[UserPage], width: int, now: float) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), expand=True, header_style="bold underline")
    table.add_column("User", width=8, no_wrap=True)
    table.add_column("Events", justify="right", width=6, no_wrap=True)
    wide, narrow = width >= _WIDE, width < _NARROW
    if narrow:
        table.add_column("Last event", ratio=1, no_wrap=True, overflow="ellipsis")
    else:
        table.add_column("Last event", width=36 if wide else 20, no_wrap=True, overflow="ellipsis")
        table.add_column("What the page shows", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("Age", justify="right", width=8, no_wrap=True)
    for page in pages:
        event_type = page.event_type if wide else page.event_type.removeprefix(_PREFIX)
        cells = [
            Text(page.name, style="cyan"),
            Text(str(page.events)),
            Text(event_type),
            *([] if narrow else [Text(page.text)]),
            Text(age_text(page.age_ms), style=_age_style(page.age_ms)),
        ]
        fresh = page.events > 0 and now - page.arrived_at < _FRESH_SECONDS
        table.add_row(*cells, style="bold" if fresh else "")
    return table


def _bridge(board: Board) -> list[Piece]:
    numbers = board.numbers
    pieces: list[Piece] = [("Bridge", "bold")]
    if board.starting:
        return [*pieces, (board.starting, "yellow")]
    if board.ending:
        pieces.append((board.ending, "yellow"))
    redis = "green" if board.redis is RedisState.RUNS else "bold red"
    bridge = "green" if board.bridge is BridgeState.RUNS else "bold red"
    pieces += [
        (board.bridge.value, bridge),
        (f"circuit {numbers.circuit_state}", _CIRCUIT.get(numbers.circuit_state, "")),
        (f"Redis {board.redis.value}", redis),
        (f"consumed {numbers.records_consumed}", ""),
        (f"published {numbers.events_published}", ""),
        (f"filtered {numbers.events_filtered}", ""),
        (f"rejected {numbers.records_rejected}", ""),
        (f"duplicates {numbers.duplicates}", ""),
    ]
    pieces += [
        (f"{partition} is halted: {reason}", "bold red") for partition, reason in numbers.halts.items()
    ]
    return pieces


def _delivery(board: Board) -> list[Piece]:
    check = board.check
    waiting = "bold yellow" if board.broken else ""
    right = not (check.missing or check.twice or check.late)
    return [
        ("Pages ", "bold"),
        (f"sent {check.sent}", ""),
        (f"arrived {check.arrived}", ""),
        (f"on the way {check.on_the_way}", waiting),
        (str(check), "green" if right else "bold red"),
    ]


def _keys(board: Board) -> list[Piece]:
    if board.ending or not board.keyboard:
        return [("Ctrl-C ends", "dim")]
    redis = {RedisState.RUNS: "r stops Redis", RedisState.STOPPED: "r starts Redis again"}
    bridge = {BridgeState.RUNS: "k kills the bridge", BridgeState.KILLED: "k starts the bridge again"}
    pressed = (redis.get(board.redis), bridge.get(board.bridge), "q ends")
    return [(press, "reverse") for press in pressed if press is not None]


def _flow(pieces: Iterable[Piece], width: int) -> list[Text]:
    """Lines of whole pieces, as many in one as there is room for."""
    lines: list[Text] = []
    for text, style in pieces:
        if lines and lines[-1].cell_len + 2 + cell_len(text) <= width:
            lines[-1].append("  ").append(text, style=style)
        else:
            lines.append(_one_line(text, style))
    return lines


def _one_line(text: str, style: str) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    return line.append(text, style=style)


def _age_style(age_ms: int | None) -> str:
    if age_ms is None or age_ms < 1000:
        return "green"
    return "yellow" if age_ms < 10_000 else "red"
