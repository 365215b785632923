"""The whole way as operators run it: Kafka, `eventbridge run`, Redis."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable

import pytest

from tests.integration.conftest import KafkaTool
from tests.integration.entrypoints.processes import running_bridge
from tests.integration.faults.bridges import QUICK, numbers
from tests.integration.faults.oracle import Load, assert_exact, envelope, eventually, streams
from tests.servers import RedisServer
from tests.servers.choice import SharedKafka

STEPS = ("Started", "Theme.Proposed", "Theme.Confirmed", "StageCompleted", "Finished")
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"


@pytest.fixture
def settings(kafka: SharedKafka, topic: str, group_id: str, redis_url: str) -> dict[str, str]:
    return QUICK | {
        "KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap,
        "KAFKA__TOPICS": topic,
        "KAFKA__GROUP_ID": group_id,
        "REDIS__URL": redis_url,
    }


@pytest.mark.real_kafka
async def test_event_bridge_consumes_kafka_events(
    settings: dict[str, str], topic: str, redis_url: str, kafka_tool: KafkaTool
) -> None:
    """The events come from Kafka's own console producer, keyed by session, with headers."""
    sessions = {str(uuid.uuid4()): str(uuid.uuid4()) for _ in range(5)}
    correlations = {session: str(uuid.uuid4()) for session in sessions}
    lines = [
        f"correlation_id:{correlations[session]},traceparent:{TRACE}\t{session}\t{told(session, user, step)}"
        for step in (*STEPS[:3], "Theme.Requested", *STEPS[3:])
        for session, user in sessions.items()
    ]
    producer = ("kafka-console-producer", "--topic", topic)
    parsed = ("--reader-property", "parse.key=true", "--reader-property", "parse.headers=true")

    with running_bridge(settings) as bridge:
        bridge.wait_until_probed()
        await asyncio.to_thread(kafka_tool, *producer, *parsed, stdin="\n".join(lines) + "\n")
        await eventually(
            lambda: sum(map(len, streams(redis_url).values())) == len(STEPS) * len(sessions),
            "all events to arrive",
        )
        shown = numbers(bridge.port)

    assert shown["eventbridge_events_published_total"] == len(STEPS) * len(sessions)
    assert shown["eventbridge_events_filtered_total"] == len(sessions)
    for session, user in sessions.items():
        entries = [fields for _, fields in streams(redis_url)[user]]
        assert [entry[b"event"].decode() for entry in entries] == [f"Genesis.Session.{s}" for s in STEPS]
        assert {entry[b"tp"].decode() for entry in entries} == {TRACE}
        assert [without_event_id(entry[b"data"]) for entry in entries] == [
            {
                "event_type": f"Genesis.Session.{step}",
                "session_id": session,
                "correlation_id": correlations[session],
                "timestamp": "2026-03-14T15:09:26Z",
                "payload": {"step": step},
                "_scope": "user",
                "_version": "1.0",
            }
            for step in STEPS
        ]


def told(session: str, user: str, step: str) -> str:
    event = json.loads(
        envelope(user, {"step": step}, event_type=f"Genesis.Session.{step}", aggregate_id=session)
    )
    del event["correlation_id"]
    return json.dumps(event)


def without_event_id(data: bytes) -> dict[str, object]:
    message: dict[str, object] = json.loads(data)
    uuid.UUID(str(message.pop("event_id")))
    return message


async def test_event_bridge_degrades_gracefully_on_redis_failure(
    settings: dict[str, str], kafka: SharedKafka, topic: str, redis_server: Callable[..., RedisServer]
) -> None:
    redis, load = redis_server(appendonly=True), Load(kafka.bootstrap, topic)
    with running_bridge(settings | {"REDIS__URL": redis.url}) as bridge:

        def shown(name: str) -> float:
            return numbers(bridge.port)[f"eventbridge_{name}"]

        consumed = f'events_consumed_total{{topic="{topic}"}}'
        failures = 'publish_failures_total{reason="connection"}'
        bridge.wait_until_probed()
        await load.produce(500)
        await assert_exact(load, redis.url)
        rebalances = shown("rebalances_total")
        await asyncio.to_thread(redis.stop)
        await load.produce(1500)

        await eventually(lambda: shown('circuit_state{state="open"}') == 1, "the circuit to open")
        live, ready = bridge.health("/health/live"), bridge.health("/health/ready")
        failed, seen = shown(failures), shown(consumed)
        await eventually(lambda: shown(failures) >= failed + 3, "some probes to fail")

        assert (live[0], ready[0]) == (200, 503)
        assert "the circuit is open" in str(ready[1]["reasons"])
        # Nothing is read meanwhile, nobody else is given the partitions, and what waits is shown.
        assert shown(consumed) == seen < load.accepted
        assert shown("rebalances_total") == rebalances
        lag = sum(value for name, value in numbers(bridge.port).items() if "consumer_lag" in name)
        assert lag > 0

        await asyncio.to_thread(redis.start)
        await eventually(lambda: shown('circuit_state{state="closed"}') == 1, "the circuit to close")
        await assert_exact(load, redis.url)
        bridge.wait_until_ready()
        assert shown("rebalances_total") == rebalances
