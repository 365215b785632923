import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from eventbridge.adapters.telemetry.masking import Masking
from eventbridge.adapters.telemetry.tracing import MAX_LINKS, OpenTelemetryTracing
from eventbridge.application.ports import Record, Tracing
from eventbridge.domain.delivery import Partition
from eventbridge.entrypoints.telemetry import collector_secrets, configure_tracing
from tests.servers.collector import Collector, running_collector

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
PARTITION = Partition("genesis", 3)
RECORD = Record(offset=42, timestamp=0, key=None, value=b"{}")


class Spans:
    """The adapter under test, and what it exported."""

    def __init__(self, provider: TracerProvider) -> None:
        self._exporter = InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = provider.get_tracer("test")
        self.tracing: Tracing = OpenTelemetryTracing(self.tracer, "event-bridge")

    def finished(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())


@pytest.fixture
def spans() -> Spans:
    return Spans(TracerProvider(shutdown_on_exit=False))


def test_an_event_gets_a_span_below_the_producers(spans: Spans) -> None:
    ids = {"event_id": "e-1", "correlation_id": "c-1", "event_type": "Genesis.Session.Started"}

    trace = spans.tracing.event(PARTITION, RECORD, PARENT, ids)
    trace.end()

    (span,) = spans.finished()
    assert span.name == "process genesis"
    assert span.kind is SpanKind.CONSUMER
    assert span.parent is not None
    assert f"{span.parent.trace_id:032x}-{span.parent.span_id:016x}" == PARENT[3:-3]
    assert span.parent.is_remote
    assert dict(span.attributes or {}) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "genesis",
        "messaging.destination.partition.id": "3",
        "messaging.consumer.group.name": "event-bridge",
        "messaging.kafka.offset": 42,
        "messaging.message.id": "e-1",
        "messaging.message.conversation_id": "c-1",
        "eventbridge.event_type": "Genesis.Session.Started",
    }
    assert span.status.status_code is StatusCode.UNSET


def test_the_entry_carries_our_span_on(spans: Spans) -> None:
    trace = spans.tracing.event(PARTITION, RECORD, PARENT, {})
    trace.end()

    (span,) = spans.finished()
    assert span.context is not None
    assert trace.traceparent == f"00-{TRACE}-{span.context.span_id:016x}-01"


def test_a_failure_is_named_on_the_span_once(spans: Spans, caplog: pytest.LogCaptureFixture) -> None:
    trace = spans.tracing.event(PARTITION, RECORD, PARENT, {})

    trace.end("timeout")
    trace.end()

    assert caplog.records == []
    (span,) = spans.finished()
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "timeout"


def test_a_batch_gets_one_span_with_links_to_its_sampled_events(spans: Spans) -> None:
    events = [spans.tracing.event(PARTITION, RECORD, PARENT, {}) for _ in range(2)]

    spans.tracing.batch(PARTITION, 500, events).end("connection")

    (batch,) = spans.finished()
    assert batch.parent is None
    assert batch.name == "process genesis"
    assert (batch.attributes or {})["messaging.batch.message_count"] == 500
    assert (batch.attributes or {})["error.type"] == "connection"
    assert [f"00-{link.context.trace_id:032x}-{link.context.span_id:016x}-01" for link in batch.links] == [
        event.traceparent for event in events
    ]


def test_spans_of_whoever_embeds_the_bridge_do_not_become_parents(spans: Spans) -> None:
    with spans.tracer.start_as_current_span("host"):
        event = spans.tracing.event(PARTITION, RECORD, "malformed", {})
        spans.tracing.batch(PARTITION, 1, [event]).end()
        event.end()

    assert [(span.name, span.parent) for span in spans.finished()] == [
        ("process genesis", None),
        ("process genesis", None),
        ("host", None),
    ]


def test_a_batch_links_to_no_more_events_than_a_span_holds(spans: Spans) -> None:
    events = [spans.tracing.event(PARTITION, RECORD, PARENT, {}) for _ in range(MAX_LINKS + 50)]

    spans.tracing.batch(PARTITION, len(events), events).end()

    (batch,) = spans.finished()
    assert len(batch.links) == MAX_LINKS
    assert batch.dropped_links == 0


def test_a_batch_without_sampled_events_has_no_span(spans: Spans) -> None:
    spans.tracing.batch(PARTITION, 500, []).end()

    assert spans.finished() == []


@pytest.mark.parametrize("malformed", ["", "00", "ff" + PARENT[2:], "00-" + "0" * 32 + PARENT[35:], "ü" * 55])
def test_a_malformed_header_breaks_nothing(spans: Spans, malformed: str) -> None:
    trace = spans.tracing.event(PARTITION, RECORD, malformed, {})
    trace.end()

    (span,) = spans.finished()
    assert span.parent is None


def test_an_event_that_our_sampler_leaves_out_carries_the_producers_context_on() -> None:
    spans = Spans(TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False))

    trace = spans.tracing.event(PARTITION, RECORD, PARENT, {})
    trace.end()

    assert trace.traceparent == PARENT
    assert spans.finished() == []


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_tracing_is_off_unless_a_collector_is_named(environ: dict[str, str]) -> None:
    assert configure_tracing(environ) is None


def test_tracing_that_is_off_does_not_import_the_sdk() -> None:
    program = (
        "import sys\n"
        "from eventbridge.entrypoints.telemetry import collector_secrets, configure_tracing\n"
        "assert configure_tracing({}) is None\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )

    assert done.stdout.strip() == "[]"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with running_collector() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        yield server


async def test_closing_sends_the_spans_that_wait(collector: Collector) -> None:
    traces = configure_tracing(os.environ)
    assert traces is not None

    traces.relaying("event-bridge").event(PARTITION, RECORD, PARENT, {}).end()
    sent = await traces.close()

    ((path, body),) = collector.requests
    assert sent
    assert path == "/v1/traces"
    assert b"process genesis" in body
    assert b"eventbridge" in body


async def test_closing_waits_no_longer_than_it_may_for_a_collector_that_does_not_answer(
    collector: Collector,
) -> None:
    collector.release.clear()
    traces = configure_tracing(os.environ)
    assert traces is not None

    traces.relaying("event-bridge").event(PARTITION, RECORD, PARENT, {}).end()
    sent = await traces.close(timeout_seconds=0.2)

    assert not sent


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("HEADERS", "authorization=Bearer%20hunter2", "authorization: Bearer hunter2"),
        ("HEADERS", "a=b,x-team: hunter2", "Header format invalid! x-team: hunter2"),
        ("HEADERS", "hunter2", "Header format invalid! hunter2"),
        ("TRACES_HEADERS", "x-team=hunter2%2F%20", "refused: {'x-team': 'hunter2/ '}"),
        ("ENDPOINT", "https://otel.example/?a=b&key=hunter2%2F", "with url: /v1/traces?a=b&key=hunter2%2F"),
        ("TRACES_ENDPOINT", "https://otel.example/traces?key=hunter2", "with url: /traces?key=hunter2"),
    ],
)
def test_what_the_collector_is_sent_is_kept_out_of_lines(variable: str, value: str, said: str) -> None:
    secrets = collector_secrets({f"OTEL_EXPORTER_OTLP_{variable}": value})

    shown = Masking(secrets).text(said)

    assert "hunter2" not in shown
    assert shown.split()[0] == said.split(maxsplit=1)[0].replace("hunter2", "***")
