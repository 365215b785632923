"""Spans for events that their producers sampled, and for the batches that carry them."""

from collections.abc import Mapping, Sequence

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from ...application.ports import BatchTrace, EventTrace, Record
from ...domain import traceparent as w3c
from ...domain.delivery import Partition
from . import messaging_names as names

MAX_LINKS = 128
"""What the SDK keeps of a span's links by default."""

_IDS = {"event_id": names.MESSAGE_ID, "correlation_id": names.CONVERSATION_ID}


class SpanTrace:
    """An open span, as `EventTrace` and `BatchTrace`; ended once, whatever comes later."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, span: Span, traceparent: str) -> None:
        self._span = span
        self.traceparent = traceparent
        """W3C header that names this span, or its parent where this one is not recorded."""

    @property
    def context(self) -> SpanContext:
        """What links to this span carry."""
        return self._span.get_span_context()

    def end(self, error: str | None = None) -> None:
        """Close the span; `error` is one of few words."""
        if not self._span.is_recording():
            return
        if error is not None:
            self._span.set_attribute(names.ERROR_TYPE, error)
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


class _NoBatchTrace:
    """A batch without sampled events: there is nothing that its span could be found by."""

    __slots__ = ()

    def end(self, error: str | None = None) -> None:
        """Nothing was begun."""


class OpenTelemetryTracing:
    """`Tracing` on a tracer of the OpenTelemetry API; the SDK behind it is set up elsewhere."""

    def __init__(self, tracer: Tracer, consumer_group: str) -> None:
        self._tracer = tracer
        self._consumer_group = consumer_group

    def event(
        self, partition: Partition, record: Record, traceparent: str, ids: Mapping[str, str]
    ) -> EventTrace:
        """Begin a span as child of the producer's. A malformed `traceparent` makes it a root.

        `ids`: `event_id` and `correlation_id` get the conventions' names, others ours.
        """
        attributes = self._attributes(partition)
        attributes[names.KAFKA_OFFSET] = record.offset
        for key, value in ids.items():
            attributes[_IDS.get(key, names.OWN_PREFIX + key)] = value
        span = self._tracer.start_span(
            f"{names.PROCESS} {partition.topic}",
            context=remote_parent(traceparent),
            kind=SpanKind.CONSUMER,
            attributes=attributes,
        )
        return SpanTrace(span, _header(span.get_span_context()) if span.is_recording() else traceparent)

    def batch(self, partition: Partition, count: int, events: Sequence[EventTrace]) -> BatchTrace:
        """Begin a span of its own, linked to at most `MAX_LINKS` of `events`; none without events."""
        if not events:
            return _NoBatchTrace()
        attributes = self._attributes(partition)
        attributes[names.BATCH_MESSAGE_COUNT] = count
        span = self._tracer.start_span(
            f"{names.PROCESS} {partition.topic}",
            context=Context(),
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            links=[Link(event.context) for event in events[:MAX_LINKS] if isinstance(event, SpanTrace)],
        )
        return SpanTrace(span, _header(span.get_span_context()))

    def _attributes(self, partition: Partition) -> dict[str, str | int]:
        return {
            names.SYSTEM: names.KAFKA,
            names.OPERATION_NAME: names.PROCESS,
            names.OPERATION_TYPE: names.PROCESS,
            names.DESTINATION: partition.topic,
            names.DESTINATION_PARTITION: str(partition.number),
            names.CONSUMER_GROUP: self._consumer_group,
        }


def remote_parent(traceparent: str) -> Context:
    """The context of a span whose parent has this header; without one where the header is malformed."""
    header = w3c.valid(traceparent.encode("utf-8", "replace"))
    if header is None:
        return Context()
    _, trace_id, span_id, flags = header.split("-")
    remote = SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))
    )
    return set_span_in_context(NonRecordingSpan(remote), Context())


def _header(span: SpanContext) -> str:
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"
