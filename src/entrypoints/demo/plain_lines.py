"""The demo for pipes and files: one line per event."""

from datetime import datetime
from typing import TextIO

from .board import OPEN, Note, UserPage, age_text


class PlainLines:
    """A `Screen` of lines: time, user, event, age, text; what else happens begins with two dashes."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._err = err

    def opened(self, address: str) -> None:
        """The first line; on standard error too, for a person whose standard output goes elsewhere."""
        self._line(OPEN.format(address))
        if not self._out.isatty() and self._err.isatty():
            self._err.write(f"{OPEN.format(address)}\n")
            self._err.flush()

    def arrived(self, page: UserPage) -> None:
        """One line."""
        at = _time(datetime.now().astimezone())
        self._line(f"{at}  {page.name:<9} {page.event_type:<36} {age_text(page.age_ms):>8}  {page.text}")

    def noted(self, note: Note) -> None:
        """One line."""
        self._line(f"{_time(note.at)}  -- {note.text}")

    def draw(self) -> None:
        """Lines stay; there is nothing to draw again."""

    def close(self) -> None:
        """Nothing was changed."""

    def _line(self, text: str) -> None:
        self._out.write(f"{text}\n")
        self._out.flush()


def _time(at: datetime) -> str:
    return f"{at:%H:%M:%S.%f}"[:-3]
