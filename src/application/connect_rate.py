"""How many new streams a second are let in, and when the others may come again."""

from typing import Final

from .ports import Clock

BURST_SECONDS: Final = 1.0
"""After a quiet time as many may come at once as otherwise within this."""


class ConnectRate:
    """A token bucket that also estimates how many are waiting outside. For one thread.

    Those who were refused come back. Their number, less those who may have been let in since, divided by the
    rate is the time that it takes to let all of them in: spread over it they do not come as a herd.
    """

    def __init__(self, per_second: int, clock: Clock) -> None:
        """`per_second` 0 is no limit."""
        self._per_second = per_second
        self._clock = clock
        self._capacity = max(1.0, per_second * BURST_SECONDS)
        self._tokens = self._capacity
        self._outside = 0.0
        self._seen = clock.monotonic()

    def take(self) -> bool:
        """Whether one more may come in now."""
        if not self._per_second:
            return True
        now = self._clock.monotonic()
        earned = (now - self._seen) * self._per_second
        self._seen = now
        self._tokens = min(self._capacity, self._tokens + earned)
        self._outside = max(0.0, self._outside - earned)
        if self._tokens < 1:
            self._outside += 1
            return False
        self._tokens -= 1
        return True

    @property
    def backlog_seconds(self) -> float:
        """How long it takes at least until all who were refused can have come in."""
        return self._outside / self._per_second if self._per_second else 0.0
