"""The demo checks the promise it makes: every event once, and each session's in order."""


class DeliveryCheck:
    """Compares what was sent with what arrived, by the ids of the events.

    Only what has not arrived is remembered, so it may run for days. An event is missing once a later one
    of its session has arrived; before that it is on the way.
    """

    def __init__(self) -> None:
        self.sent = 0
        """Events sent that pages are to see."""
        self.arrived = 0
        """Of these, those that have come."""
        self.twice = 0
        """Arrivals that nobody waited for any more."""
        self.late = 0
        """Arrivals after a later event of their session."""
        self._waiting: dict[str, dict[str, int]] = {}
        self._overtaken: set[str] = set()

    @property
    def on_the_way(self) -> int:
        """Events sent that may still come."""
        return sum(len(events) for events in self._waiting.values())

    @property
    def missing(self) -> int:
        """Events that a later one of their session has overtaken."""
        return len(self._overtaken)

    def send(self, session: str, event_id: str) -> None:
        """An event is about to be sent; those of one session are sent one after the other."""
        self.sent += 1
        self._waiting.setdefault(session, {})[event_id] = self.sent

    def arrive(self, session: str, event_id: str) -> None:
        """An event has come out of a stream."""
        waiting = self._waiting.get(session, {})
        if event_id in self._overtaken:
            self._overtaken.remove(event_id)
            self.late += 1
        elif event_id not in waiting:
            self.twice += 1
            return
        else:
            for earlier in list(waiting):
                del waiting[earlier]
                if earlier == event_id:
                    break
                self._overtaken.add(earlier)
            if not waiting:
                del self._waiting[session]
        self.arrived += 1

    def settled(self, number: int) -> bool:
        """Whether none of the first `number` events sent is on the way any more."""
        return all(next(iter(events.values())) > number for events in self._waiting.values())

    def __str__(self) -> str:
        late = f", {self.late} out of order" if self.late else ""
        return f"{self.missing} missing, {self.twice} twice{late}"
