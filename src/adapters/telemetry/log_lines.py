"""From records of `logging` to lines: one pipe for our loggers and for those of the libraries."""

import logging
from collections.abc import Callable, Iterable
from time import monotonic

import msgspec
import structlog
from structlog.typing import EventDict, WrappedLogger

from .masking import Masking

MAX_TEMPLATES = 256
"""Different messages of libraries kept apart."""


def formatter(*, console: bool, colors: bool = False, secrets: Iterable[str] = ()) -> logging.Formatter:
    """Formats a record, with the fields of its `extra`, as a JSON line or for a terminal."""
    render: structlog.typing.Processor
    if console:
        render = structlog.dev.ConsoleRenderer(
            colors=colors, event_key="message", exception_formatter=structlog.dev.plain_traceback
        )
    else:
        render = _json_line
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.ExtraAdder(),
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            _Fit(Masking(secrets)),
            render,
        ],
    )


class _Fit:
    """Masks and shortens every field, the first four in the order they are read in."""

    def __init__(self, masking: Masking) -> None:
        self._masking = masking

    def __call__(self, _logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
        masking = self._masking
        line: EventDict = {
            "timestamp": fields.pop("timestamp", None),
            "level": fields.pop("level", None),
            "logger": fields.pop("logger", None),
            "message": masking.text(str(fields.pop("message", ""))),
        }
        exception = fields.pop("exception", None)
        for name, value in fields.items():
            line[masking.text(str(name), 80)] = masking.field(str(name), value)
        if exception is not None:
            line["exception"] = masking.traceback(str(exception))
        return line


def _json_line(_logger: WrappedLogger, _method: str, fields: EventDict) -> str:
    return msgspec.json.encode(fields).decode()


class RepeatedLibraryMessages(logging.Filter):
    """Passes a message of a library once in `every_seconds`, then with `occurrences`: reconnecting clients
    say the same ten times a second. Our own loggers (`own`) count by cause themselves.
    """

    def __init__(self, own: str, every_seconds: float = 10, now: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._own = own
        self._every_seconds = every_seconds
        self._now = now
        self._seen: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record becomes a line."""
        if record.name == self._own or record.name.startswith(self._own + "."):
            return True
        now = self._now()
        template = (record.name, record.levelno, str(record.msg)[:200])
        until, held = self._seen.get(template, (0.0, 0))
        if now < until:
            self._seen[template] = (until, held + 1)
            return False
        if len(self._seen) >= MAX_TEMPLATES:
            self._seen = {key: seen for key, seen in self._seen.items() if now < seen[0]}
        if template not in self._seen and len(self._seen) >= MAX_TEMPLATES:
            return False
        self._seen[template] = (now + self._every_seconds, 0)
        if held:
            record.occurrences = held + 1
        return True
