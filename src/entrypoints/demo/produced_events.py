"""What was produced for one user's page, for whoever holds the page against it."""

from collections import deque
from collections.abc import Sequence
from itertools import islice

from ...adapters.http.demo_page import SentEvent

KEPT = 5_000
"""Of each user: a page that has slept through more begins its count anew there."""


class ProducedEvents:
    """Grows without end and remembers the last ones, so that the demo may run for days."""

    def __init__(self) -> None:
        self.total = 0
        self._last: deque[SentEvent] = deque(maxlen=KEPT)

    def add(self, event: SentEvent) -> None:
        """The next one."""
        self.total += 1
        self._last.append(event)

    def after(self, number: int, limit: int) -> tuple[int, Sequence[SentEvent]]:
        """At most `limit` after the first `number`, and how many came before these."""
        forgotten = self.total - len(self._last)
        begin = max(number, forgotten)
        return begin, list(islice(self._last, begin - forgotten, begin - forgotten + limit))
