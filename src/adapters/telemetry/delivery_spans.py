"""Spans of the gateway: sampled events on their way from the stream to pages."""

from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Tracer, get_current_span

from ...application.gateway_ports import DeliveryTrace, FeedEntry
from ...domain import traceparent as w3c
from ...domain.routing import Target
from . import messaging_names as names
from .tracing import MAX_LINKS, remote_parent

PAGES = names.OWN_PREFIX + "pages"
EVENT_TYPE = names.OWN_PREFIX + "event_type"


class DeliverySpans:
    """`DeliveryTracing` on a tracer of the OpenTelemetry API; the SDK behind it is set up elsewhere.

    No span says whose stream it is.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def live(self, target: Target, entries: Sequence[FeedEntry]) -> DeliveryTrace | None:
        """Begin a span below the bridge's for each sampled entry."""
        spans = [
            self._tracer.start_span(
                f"{names.DELIVER} {target.scope}",
                context=context,
                kind=SpanKind.PRODUCER,
                attributes={**_attributes(target), EVENT_TYPE: entry.event},
            )
            for entry, context in _sampled(entries)
        ]
        return _Delivery(spans) if spans else None

    def replay(self, target: Target, entries: Sequence[FeedEntry]) -> DeliveryTrace | None:
        """Begin one span of its own, linked to at most `MAX_LINKS` of the sampled entries."""
        sampled = [get_current_span(context).get_span_context() for _, context in _sampled(entries)]
        if not sampled:
            return None
        span = self._tracer.start_span(
            f"{names.DELIVER} {target.scope}",
            context=Context(),
            kind=SpanKind.PRODUCER,
            attributes={**_attributes(target), names.BATCH_MESSAGE_COUNT: len(entries)},
            links=[Link(context) for context in sampled[:MAX_LINKS]],
        )
        return _Delivery([span])


class _Delivery:
    """Open spans of one delivery."""

    __slots__ = ("_spans",)

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = spans

    def end(self, pages: int) -> None:
        """Close them."""
        for span in self._spans:
            span.set_attribute(PAGES, pages)
            span.end()


def _sampled(entries: Sequence[FeedEntry]) -> list[tuple[FeedEntry, Context]]:
    return [
        (entry, remote_parent(entry.traceparent))
        for entry in entries
        if entry.traceparent is not None and w3c.sampled(entry.traceparent.encode("utf-8", "replace"))
    ]


def _attributes(target: Target) -> dict[str, str | int]:
    return {
        names.SYSTEM: names.SSE,
        names.OPERATION_NAME: names.DELIVER,
        names.OPERATION_TYPE: names.SEND,
        names.DESTINATION: str(target.scope),
    }
