"""The OpenTelemetry SDK with its OTLP exporter; imported only where traces are wanted.

Everything but the service's name comes from the standard `OTEL_*` variables, which the SDK reads itself.
"""

import asyncio
import contextlib
import logging
import threading

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from .delivery_spans import DeliverySpans
from .tracing import OpenTelemetryTracing

log = logging.getLogger(__name__)

DEFAULT_SERVICE_NAME = "eventbridge"


class OtlpTraces:
    """Spans on their way to a collector. Opening it asks no server; `close` sends what is left.

    For the bridge `relaying` is the port's implementation, for the gateway `delivering`.
    """

    def __init__(self) -> None:
        resource = Resource.create()
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: DEFAULT_SERVICE_NAME}))
        # Its own exit hook could hold the process for half a minute: `close` is bounded.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("eventbridge")

    def relaying(self, consumer_group: str) -> OpenTelemetryTracing:
        """Spans of events and batches on their way from Kafka into streams."""
        return OpenTelemetryTracing(self._tracer, consumer_group)

    def delivering(self) -> DeliverySpans:
        """Spans of events on their way from streams to pages."""
        return DeliverySpans(self._tracer)

    async def close(self, timeout_seconds: float = 5) -> bool:
        """Send the spans that wait, for `timeout_seconds` at most; False if time ran out.

        The SDK's own flush blocks and knows no limit, so it runs on a thread that may be left behind.
        """
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def shut_down() -> None:
            try:
                self._provider.shutdown()
            finally:
                # The loop may have been closed meanwhile; then nobody waits.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(done.set)

        threading.Thread(target=shut_down, name="traces-flush", daemon=True).start()
        try:
            async with asyncio.timeout(timeout_seconds):
                await done.wait()
        except TimeoutError:
            log.warning("traces were not all sent in time", extra={"timeout_seconds": timeout_seconds})
            return False
        return True
