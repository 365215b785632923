"""The composition root: which adapter stands behind each port. Nothing is connected before it is asked for.

Another service overrides one provider, such as `source` or `sink`, with its own and keeps the rest.
"""

import logging
import os
import random
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from dependency_injector import containers, providers

from ..adapters.http.health_server import HealthServer
from ..adapters.kafka.client_manager import KafkaClientManager
from ..adapters.kafka.dead_letters import KafkaDeadLetters
from ..adapters.kafka.event_source import KafkaEventSource
from ..adapters.kafka.foreign_errors import translated
from ..adapters.redis.settings import RedisSettings
from ..adapters.redis.sse_service import RedisSSEService
from ..adapters.system_clock import SystemClock
from ..adapters.telemetry.prometheus import PrometheusTelemetry
from ..application.cause_log import CauseLog
from ..application.event_bridge import DomainEventBridgeService
from ..application.ports import Clock, Telemetry, Tracing
from ..application.publisher import Publisher
from ..application.sink_gate import SinkGate
from ..domain.circuit_breaker import BreakerPolicy, CircuitBreaker, CircuitState
from ..domain.event_filter import EventFilter
from . import adapter_settings
from .lifecycle import Lifecycle
from .settings import Settings
from .telemetry import traced

if TYPE_CHECKING:
    from ..adapters.telemetry.otlp import OtlpTraces


async def _kafka_source(clients: KafkaClientManager, lifecycle: Lifecycle) -> AsyncIterator[KafkaEventSource]:
    """The source, once a broker answers; the bridge itself joins the group and leaves it."""

    async def reach() -> None:
        failure = await clients.why_unreachable()
        if failure is not None:
            raise translated(failure, "connecting")

    await lifecycle.wait_for(f"Kafka at {', '.join(clients.settings.bootstrap_servers)}", reach)
    source = KafkaEventSource(clients)
    lifecycle.watch(source.check)
    yield source


async def _redis_sink(
    settings: RedisSettings, source: str, place: str, lifecycle: Lifecycle
) -> AsyncIterator[RedisSSEService]:
    """The sink, once it answers and its layout is ours."""
    service = RedisSSEService(settings, source)
    try:
        await lifecycle.wait_for(f"Redis at {place}", service.open)
        yield service
    finally:
        await service.close()


async def _kafka_dead_letters(
    clients: KafkaClientManager, topic: str | None
) -> AsyncIterator[KafkaDeadLetters | None]:
    """Where rejected records are kept, if anywhere; it connects with the first one."""
    if topic is None:
        yield None
        return
    letters = KafkaDeadLetters(clients, topic)
    try:
        yield letters
    finally:
        await letters.stop()


async def _traces() -> "AsyncIterator[OtlpTraces | None]":
    """Traces to a collector, where the standard `OTEL_*` variables ask for them."""
    async with traced(os.environ) as traces:
        yield traces


def _tracing(traces: "OtlpTraces | None", consumer_group: str) -> Tracing | None:
    return None if traces is None else traces.relaying(consumer_group)


def _breaker(policy: BreakerPolicy, clock: Clock, telemetry: Telemetry) -> CircuitBreaker:
    def changed(_before: CircuitState, after: CircuitState) -> None:
        telemetry.circuit(after.value, breaker.failure_ratio)

    breaker = CircuitBreaker(policy, clock.monotonic, jitter=random.random, on_change=changed)
    return breaker


class Container(containers.DeclarativeContainer):
    """Everything that runs, made from `settings`; resources are opened with `await provider.async_()`.

    The settings, and what derives from them, are read by the default providers alone: who overrides
    `source` needs no Kafka, who overrides `sink` no Redis.
    """

    settings = providers.Dependency(instance_of=Settings)

    clock = providers.Singleton(SystemClock)
    lifecycle = providers.Singleton(Lifecycle, clock)
    telemetry = providers.Singleton(PrometheusTelemetry)
    traces = providers.Resource(_traces)
    tracing = providers.Callable(_tracing, traces, settings.provided.kafka.group_id)
    health_server = providers.Singleton(
        HealthServer,
        settings.provided.telemetry.metrics_host,
        settings.provided.telemetry.metrics_port,
        lifecycle.provided.health,
        telemetry.provided.registry,
    )

    kafka_settings = providers.Singleton(adapter_settings.kafka_settings, settings)
    kafka_clients = providers.Singleton(KafkaClientManager, kafka_settings)
    source = providers.Resource(_kafka_source, kafka_clients, lifecycle)
    dead_letters = providers.Resource(
        _kafka_dead_letters, kafka_clients, settings.provided.kafka.dead_letter_topic
    )

    redis_settings = providers.Singleton(adapter_settings.redis_settings, settings)
    sink = providers.Resource(
        _redis_sink,
        redis_settings,
        settings.provided.source,
        providers.Callable(adapter_settings.redis_place, settings),
        lifecycle,
    )

    event_filter = providers.Singleton(
        EventFilter, settings.provided.filter.allow, settings.provided.kafka.max_record_bytes
    )
    breaker_policy = providers.Singleton(adapter_settings.breaker_policy, settings)
    breaker = providers.Singleton(_breaker, breaker_policy, clock, telemetry)
    sink_gate = providers.Singleton(SinkGate, breaker)
    publisher = providers.Singleton(
        Publisher,
        sink,
        sink_gate,
        telemetry,
        clock,
        providers.Singleton(CauseLog, logging.getLogger(Publisher.__module__), clock),
        max_message_bytes=settings.provided.message.max_bytes,
    )
    """For one event at a time; the bridge has one of its own, for batches."""

    bridge_settings = providers.Singleton(adapter_settings.bridge_settings, settings)
    bridge = providers.Singleton(
        DomainEventBridgeService,
        source=source,
        sink=sink,
        event_filter=event_filter,
        gate=sink_gate,
        telemetry=telemetry,
        clock=clock,
        dead_letters=dead_letters,
        tracing=tracing,
        settings=bridge_settings,
    )
