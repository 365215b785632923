"""All log lines go to a file, so that none scrambles the screen; the bridge's warnings become notes."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..telemetry import OWN_LOGGER, configure_logging


class NotesFromLog(logging.Handler):
    """Hands on what is logged from WARNING on."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """As a handler does; lines that only count what was said before (`CauseLog`) are left out."""
        if not hasattr(record, "occurrences"):
            self._tell(record.getMessage())


@contextmanager
def log_into(path: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """Write every line to the file, and tell our own warnings; afterwards nothing is logged any more."""
    root, own, notes = logging.getLogger(), logging.getLogger(OWN_LOGGER), NotesFromLog(tell)
    with path.open("w") as file:
        configure_logging("info", "json", stream=file)
        own.addHandler(notes)
        try:
            yield
        finally:
            own.removeHandler(notes)
            root.handlers[:] = [logging.NullHandler()]
