"""Sort what one poll gave: accepted events become entries by shard, rejected records dead letters."""

from collections.abc import Sequence

import msgspec

from ..domain.delivery import Entry, Partition
from ..domain.envelope import Event
from ..domain.event_filter import EventFilter, Filtered, Rejected
from ..domain.traceparent import sampled, valid
from ..domain.violations import RECORD, RejectionReason, Violation
from .ports import DeadLetter, EventTrace, Record, Tracing
from .publisher import Publisher

TOO_LARGE = Rejected(
    RejectionReason.TOO_LARGE, (Violation(RECORD, "must fit into one fetch from the source"),)
)
"""What a record is that the source could not hand over."""


class Sorted(msgspec.Struct):
    """What the records of one poll are."""

    entries: dict[int, list[Entry]] = {}
    """The accepted ones by shard, in offset order."""
    accepted: int = 0
    filtered: int = 0
    letters: list[DeadLetter] = []
    """The rejected ones."""
    traces: list[EventTrace] = []
    """The spans begun for those that their producers sampled."""


class Intake:
    """Decides for each record of a poll what becomes of it. No I/O, no waiting."""

    def __init__(
        self, event_filter: EventFilter, publisher: Publisher, tracing: Tracing | None = None
    ) -> None:
        self._filter = event_filter
        self._publisher = publisher
        self._tracing = tracing

    def sort(self, partition: Partition, records: Sequence[Record]) -> Sorted:
        """Sort one poll's records."""
        found = Sorted()
        queues, decide, route = found.entries, self._filter.decide, self._publisher.route
        for record in records:
            correlation_id = traceparent = None
            for name, content in record.headers:
                if name == "correlation_id":
                    correlation_id = content
                elif name == "traceparent":
                    traceparent = content
            if record.too_large:
                decision: Event | Filtered | Rejected = TOO_LARGE
            else:
                decision = decide(record.value, correlation_id=correlation_id)
            if isinstance(decision, Event):
                carried = (
                    self._trace(partition, record, decision, traceparent, found.traces)
                    if traceparent is not None
                    else None
                )
                shard, entry = route(record, decision, carried)
                queue = queues.get(shard)
                if queue is None:
                    queues[shard] = [entry]
                else:
                    queue.append(entry)
                found.accepted += 1
            elif isinstance(decision, Filtered):
                found.filtered += 1
            else:
                found.letters.append(_letter(partition, record, decision))
        return found

    def _trace(
        self,
        partition: Partition,
        record: Record,
        event: Event,
        traceparent: bytes,
        traces: list[EventTrace],
    ) -> str | None:
        """What the entry carries on: our span where the producer sampled the event, else its own context."""
        parent = sampled(traceparent) if self._tracing is not None else None
        if self._tracing is None or parent is None:
            return valid(traceparent)
        ids = {"event_id": event.event_id, "correlation_id": event.correlation_id}
        trace = self._tracing.event(partition, record, parent, ids)
        traces.append(trace)
        return trace.traceparent


def _letter(partition: Partition, record: Record, rejected: Rejected) -> DeadLetter:
    field = rejected.violations[0].field if rejected.violations else None
    return DeadLetter(partition, record, rejected.reason, field, str(rejected))
