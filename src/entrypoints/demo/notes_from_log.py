"""All log lines go to a file, so that none scrambles the screen; the bridge's warnings become notes."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..telemetry import OWN_LOGGER, configure_logging


class NotesFromLog(logging.Handler):
    """Hands on what is logged from a level on."""

    def __init__(self, tell: Callable[[str], None], level: int) -> None:
        super().__init__(level)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """As a handler does; lines that only count what was said before (`CauseLog`) are left out."""
        if not hasattr(record, "occurrences"):
            self._tell(record.getMessage())


@contextmanager
def log_into(path: Path, tell: Callable[[str], None], level: int = logging.WARNING) -> Iterator[None]:
    """Write every line to the file, and tell our own from `level` on; afterwards nothing is logged."""
    root, own, notes = logging.getLogger(), logging.getLogger(OWN_LOGGER), NotesFromLog(tell, level)
    with path.open("a") as file:
        configure_logging("info", "json", stream=file)
        own.addHandler(notes)
        try:
            yield
        finally:
            own.removeHandler(notes)
            root.handlers[:] = [logging.NullHandler()]
