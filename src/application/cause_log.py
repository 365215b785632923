"""One log line per cause, not per event, at any rate of failure."""

import logging

from .ports import Clock

MAX_CAUSES = 256
"""Causes kept apart; what is above is logged as one."""

OVERFLOW = "other"
"""The cause of whatever finds no room of its own."""


class _Silence:
    """A cause that was logged a while ago, and what has happened since."""

    __slots__ = ("count", "fields", "level", "message", "until")

    def __init__(self, until: float) -> None:
        self.until = until
        self.count = 0
        self.level = logging.NOTSET
        self.message = ""
        self.fields: dict[str, object] = {}


class CauseLog:
    """Logs the first occurrence of a cause at once, and of the later ones one line per period.

    That line is the latest occurrence, with `occurrences`: how many it stands for. It comes with the
    first occurrence after the period, or with `flush`, which its owner calls now and then. A cause that
    kept silent for a whole period begins anew. For one thread.
    """

    def __init__(self, logger: logging.Logger, clock: Clock, every_seconds: float = 10) -> None:
        self._logger = logger
        self._clock = clock
        self._every_seconds = every_seconds
        self._silences: dict[str, _Silence] = {}
        self._next_sweep = 0.0

    def say(self, cause: str, level: int, message: str, **fields: object) -> None:
        """Log `message` with `fields`, or count it. `cause` is one of few words; it becomes a field.

        `level` is a level of `logging`. Names that `logging` keeps for itself (`name`, `args`, `module` …)
        are no names of fields.
        """
        if not self._logger.isEnabledFor(level):
            return
        now = self._clock.monotonic()
        silence = self._silences.get(cause)
        if silence is None and not self._has_room(now):
            cause = OVERFLOW
            silence = self._silences.get(cause)
        if silence is None:
            self._silences[cause] = _Silence(now + self._every_seconds)
            self._log(level, message, {**fields, "cause": cause})
            return
        quiet = silence.count == 0
        silence.count += 1
        silence.level, silence.message, silence.fields = level, message, fields
        if now >= silence.until:
            self._speak(cause, silence, now, counted=not quiet)

    def flush(self) -> None:
        """Log what was counted of the causes whose period is over."""
        now = self._clock.monotonic()
        for cause, silence in self._silences.items():
            if silence.count and now >= silence.until:
                self._speak(cause, silence, now, counted=True)
        self._forget_quiet_ones(now)

    def close(self) -> None:
        """Log all that was counted, and forget every cause."""
        now = self._clock.monotonic()
        for cause, silence in self._silences.items():
            if silence.count:
                self._speak(cause, silence, now, counted=True)
        self._silences.clear()

    def _speak(self, cause: str, silence: _Silence, now: float, *, counted: bool) -> None:
        fields = {**silence.fields, "cause": cause}
        if counted:
            fields["occurrences"] = silence.count
        self._log(silence.level, silence.message, fields)
        silence.count = 0
        silence.fields = {}
        silence.until = now + self._every_seconds

    def _log(self, level: int, message: str, fields: dict[str, object]) -> None:
        self._logger.log(level, message, extra=fields)

    def _has_room(self, now: float) -> bool:
        """Sweeps once a period at most: when there are too many causes, there is no time either."""
        if len(self._silences) >= MAX_CAUSES and now >= self._next_sweep:
            self._forget_quiet_ones(now)
            self._next_sweep = now + self._every_seconds
        return len(self._silences) < MAX_CAUSES

    def _forget_quiet_ones(self, now: float) -> None:
        self._silences = {
            cause: silence
            for cause, silence in self._silences.items()
            if silence.count or now < silence.until
        }
