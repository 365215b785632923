"""The composition root builds every provider, and gives way to those that another service brings."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from typing import Any

import pytest
from dependency_injector import providers

from eventbridge.adapters.kafka.dead_letters import KafkaDeadLetters
from eventbridge.adapters.memory.log import MemoryLog
from eventbridge.adapters.memory.sink import MemoryEventSink
from eventbridge.adapters.memory.source import MemoryEventSource
from eventbridge.application.event_bridge import BridgeSettings, DomainEventBridgeService
from eventbridge.domain.assignment import AssignmentPolicy, OffsetReset, OnRetentionLoss, OnStateLost
from eventbridge.domain.circuit_breaker import BreakerPolicy
from eventbridge.entrypoints.adapter_settings import (
    STOP_LIMIT_SECONDS,
    breaker_policy,
    bridge_settings,
    kafka_settings,
    redis_place,
    redis_settings,
    secrets_of,
)
from eventbridge.entrypoints.container import Container
from eventbridge.entrypoints.settings import Settings

TOPIC = "genesis.session.events"


async def built(provider: providers.Provider[Any]) -> Any:
    value = provider()
    return await value if inspect.isawaitable(value) else value


@pytest.fixture
async def container() -> AsyncIterator[Container]:
    """The container with a source and a sink in memory, as another service would bring its own."""
    container = Container(settings=Settings())
    container.source.override(providers.Object(MemoryEventSource(MemoryLog({TOPIC: 2}), (TOPIC,))))
    container.sink.override(providers.Object(MemoryEventSink()))
    yield container
    if (closing := container.shutdown_resources()) is not None:
        await closing


async def test_every_provider_is_built(container: Container) -> None:
    things = {name: await built(provider) for name, provider in container.providers.items()}

    assert isinstance(things["bridge"], DomainEventBridgeService)
    assert {name for name, thing in things.items() if thing is None} == {"dead_letters", "traces", "tracing"}


async def test_a_service_with_its_own_source_and_sink_runs_without_kafka_and_redis(
    container: Container,
) -> None:
    bridge = await container.bridge.async_()

    running = asyncio.create_task(bridge.run())
    while not bridge.health().ready:  # noqa: ASYNC110 - readiness is asked for, as probes do
        await asyncio.sleep(0)
    bridge.stop()
    await running

    assert await container.bridge.async_() is bridge


async def test_dead_letters_go_to_the_topic_that_is_set() -> None:
    container = Container(settings=Settings.model_validate({"kafka": {"dead_letter_topic": "dead"}}))

    letters = await built(container.dead_letters)

    assert isinstance(letters, KafkaDeadLetters)
    if (closing := container.shutdown_resources()) is not None:
        await closing


async def test_the_breaker_tells_telemetry_of_its_changes(container: Container) -> None:
    breaker, telemetry = container.breaker(), container.telemetry()
    for _ in range(2):
        permit = breaker.acquire()
        assert permit is not None
        breaker.failed(permit)

    shown = telemetry.registry.get_sample_value("eventbridge_circuit_state", {"state": "open"})

    assert shown == 1
    assert telemetry.registry.get_sample_value("eventbridge_sink_failure_ratio") == 1


def test_settings_reach_the_adapters() -> None:
    settings = Settings.model_validate(
        {
            "source": "replay",
            "on_sink_failure": "drop",
            "on_state_lost": "earliest",
            "on_retention_loss": "continue",
            "kafka": {
                "bootstrap_servers": "a:1,b:2",
                "topics": "t,u",
                "group_id": "g",
                "client_id": "c",
                "instance_id": "i",
                "security_protocol": "SASL_SSL",
                "sasl_mechanism": "PLAIN",
                "sasl_username": "u",
                "sasl_password": "hunter2",
                "auto_offset_reset": "latest",
                "max_batch_records": 7,
                "fetch_max_bytes": 8,
            },
            "commit": {"batch_size": 3, "interval_seconds": 4, "checkpoint_seconds": 5},
            "breaker": {"window_seconds": 3, "failure_rate": 0.1, "minimum_calls": 4},
            "message": {"max_bytes": 2048},
            "redis": {
                "url": "rediss://u:hunter3@r:1/2",
                "shards": 4,
                "stream_max_length": 5,
                "stream_ttl_seconds": 6,
                "timeout_seconds": 7,
                "durability": "disk",
            },
            "gateway": {"jwt_key": "hunter4"},
        }
    )

    kafka, redis = kafka_settings(settings), redis_settings(settings)

    assert (tuple(kafka.bootstrap_servers), tuple(kafka.topics)) == (("a:1", "b:2"), ("t", "u"))
    assert (kafka.group_id, kafka.client_id, kafka.instance_id) == ("g", "c", "i")
    assert (kafka.security_protocol, kafka.sasl_mechanism) == ("SASL_SSL", "PLAIN")
    assert (kafka.sasl_username, kafka.sasl_password, kafka.fetch_max_bytes) == ("u", "hunter2", 8)
    assert (redis.url, redis.shards, redis.stream_max_length) == ("rediss://u:hunter3@r:1/2", 4, 5)
    assert (redis.stream_ttl_seconds, redis.timeout_seconds, redis.durability) == (6, 7, "disk")
    assert breaker_policy(settings) == BreakerPolicy(window_seconds=3, failure_rate=0.1, minimum_calls=4)
    assert bridge_settings(settings) == BridgeSettings(
        policy=AssignmentPolicy("replay", OffsetReset.LATEST, OnStateLost.EARLIEST, OnRetentionLoss.CONTINUE),
        drop_on_sink_failure=True,
        max_batch_records=7,
        max_message_bytes=2048,
        commit_batch_size=3,
        commit_interval_seconds=4,
        checkpoint_seconds=5,
        stop_limit_seconds=STOP_LIMIT_SECONDS,
    )
    assert redis_place(settings) == "r:1"
    assert {"hunter2", "hunter3", "hunter4"} <= set(secrets_of(settings))


def test_the_defaults_of_the_settings_are_those_of_the_adapters() -> None:
    settings = Settings()

    assert kafka_settings(settings) == type(kafka_settings(settings))()
    assert redis_settings(settings) == type(redis_settings(settings))()
    assert breaker_policy(settings) == BreakerPolicy()
