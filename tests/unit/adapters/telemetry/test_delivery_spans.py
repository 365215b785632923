"""A sampled event's trace goes on to the pages; what was not sampled leaves nothing."""

import json
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from eventbridge.adapters.telemetry.delivery_spans import DeliverySpans
from eventbridge.adapters.telemetry.tracing import MAX_LINKS
from eventbridge.application.gateway_ports import FeedEntry
from eventbridge.domain.delivery import Batch, Entry, Mark, Partition
from eventbridge.domain.position import StreamId
from eventbridge.domain.routing import shard_of, user
from tests.unit.application.hub_under_test import ANN, HubUnderTest, numbers, shows

SAMPLED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNSAMPLED = SAMPLED[:-1] + "0"


class TracedWorld(HubUnderTest):
    """A hub whose deliveries are traced, and a bridge that carries traces on."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = provider.get_tracer("test")
        super().__init__(tracing=DeliverySpans(self.tracer))

    async def relay(self, *traceparents: str | None) -> None:
        """Append an event with each of these."""
        first = self.count + 1
        entries = []
        for traceparent in traceparents:
            self.count += 1
            data = json.dumps({"n": self.count}).encode()
            entries.append(Entry(self.count, user(ANN), "Told", data, 0, traceparent))
        mark = Mark(Partition("t", 0), first - 1, self.count)
        await self.sink.apply(Batch(shard_of(ANN, self.sink.shards), (mark,), entries))

    def spans(self) -> Sequence[ReadableSpan]:
        """What was exported so far."""
        return self._exporter.get_finished_spans()


async def test_a_live_event_is_a_span_below_the_bridges_however_many_pages_it_reaches() -> None:
    async with TracedWorld().running() as world:
        pages = [await world.live_page() for _ in range(3)]

        await world.relay(SAMPLED)
        for page in pages:
            await shows(page, ["1"])

        (span,) = world.spans()
        assert span.name == "deliver user"
        assert span.kind is SpanKind.PRODUCER
        assert span.parent is not None
        assert f"{span.parent.trace_id:032x}-{span.parent.span_id:016x}" == SAMPLED[3:-3]
        assert dict(span.attributes or {}) == {
            "messaging.system": "sse",
            "messaging.operation.name": "deliver",
            "messaging.operation.type": "send",
            "messaging.destination.name": "user",
            "eventbridge.event_type": "Told",
            "eventbridge.pages": 3,
        }


@pytest.mark.parametrize("header", [None, UNSAMPLED, "", "01", "00-" + "0" * 52, "ü" * 55, SAMPLED + "x"])
async def test_what_nobody_sampled_has_no_span(header: str | None) -> None:
    async with TracedWorld().running() as world:
        page = await world.live_page()

        await world.relay(header)
        await shows(page, ["1"])
        await shows(world.page(last=1), ["1"])

        assert world.spans() == ()


async def test_a_replay_is_one_span_with_links_to_what_was_sampled() -> None:
    async with TracedWorld().running() as world:
        await world.relay(SAMPLED, UNSAMPLED, None, SAMPLED)

        await shows(world.page(last=4), numbers(1, 4))

        (span,) = world.spans()
        assert span.parent is None
        assert (span.attributes or {})["messaging.batch.message_count"] == 4
        assert (span.attributes or {})["eventbridge.pages"] == 1
        linked = [f"{link.context.trace_id:032x}-{link.context.span_id:016x}" for link in span.links]
        assert linked == [SAMPLED[3:-3]] * 2


async def test_events_that_come_while_a_page_catches_up_are_in_its_replay() -> None:
    async with TracedWorld().running() as world:
        await world.relay(None)
        world.feed.hold()
        page = world.page(last=1)
        await world.relay(SAMPLED)
        world.feed.release()

        await shows(page, ["1", "2"])

        assert [len(span.links) for span in world.spans()] == [1]


def test_a_replay_links_to_no_more_events_than_a_span_holds() -> None:
    world = TracedWorld()
    entry = FeedEntry(StreamId(2, 0), StreamId(1, 0), "Told", "{}", 0, SAMPLED)

    trace = DeliverySpans(world.tracer).replay(user(ANN), [entry] * (MAX_LINKS + 50))
    assert trace is not None
    trace.end(1)

    (span,) = world.spans()
    assert len(span.links) == MAX_LINKS
    assert span.dropped_links == 0


def test_spans_of_whoever_embeds_the_gateway_do_not_become_parents() -> None:
    world = TracedWorld()
    entry = FeedEntry(StreamId(2, 0), StreamId(1, 0), "Told", "{}", 0, SAMPLED)

    with world.tracer.start_as_current_span("host"):
        for trace in (
            DeliverySpans(world.tracer).live(user(ANN), [entry]),
            DeliverySpans(world.tracer).replay(user(ANN), [entry]),
        ):
            assert trace is not None
            trace.end(1)

    live, replay, host = world.spans()
    assert live.parent is not None
    assert live.parent.is_remote
    assert (replay.parent, host.name) == (None, "host")
