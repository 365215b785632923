"""`eventbridge run --with-gateway` as operators meet it: one process from Kafka to the page's socket."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import cast

import pytest
from dependency_injector import providers
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from eventbridge.application.ports import EventSource
from eventbridge.entrypoints.bridge_and_gateway import carry_and_serve
from eventbridge.entrypoints.container import Container
from eventbridge.entrypoints.gateway_container import GatewayContainer
from eventbridge.entrypoints.process import run_process
from eventbridge.entrypoints.sample_events import sample_users
from eventbridge.entrypoints.settings import Settings
from tests.integration.entrypoints.processes import Bridge, eventbridge, running_bridge
from tests.integration.gateway.running import AUDIENCE, KEY, bearer, new_user
from tests.integration.gateway.sse_client import answer_of, ask, open_page
from tests.servers.choice import SharedKafka
from tests.servers.collector import Collector, running_collector
from tests.servers.process import free_port

(USER,) = sample_users(1, seed=7)


@pytest.fixture
def settings(settings: dict[str, str]) -> dict[str, str]:
    return settings | {
        "GATEWAY__PORT": str(free_port()),
        "GATEWAY__JWT_KEY": KEY,
        "GATEWAY__JWT_ALGORITHMS": "HS256",
        "GATEWAY__JWT_AUDIENCE": AUDIENCE,
        "GATEWAY__DRAIN_SECONDS": "2",
        "GATEWAY__MAX_CONNECTIONS_PER_ADDRESS": "0",
    }


async def said(both: Bridge, part: str) -> str:
    return await asyncio.to_thread(both.wait_for_line, part)


async def ready(both: Bridge) -> None:
    await asyncio.to_thread(both.wait_until_probed)
    await asyncio.to_thread(both.wait_until_ready)


@contextmanager
def traced_to(
    collector: Collector, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bridge]:
    """Both in one process, which sends no spans before its end."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
    with running_bridge(settings, "--with-gateway") as both:
        yield both


async def test_one_process_carries_events_from_kafka_to_an_open_page_and_stops_cleanly(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages are drained while the bridge still carries. All spans go out at once, at the end."""
    port = int(settings["GATEWAY__PORT"])
    with running_collector() as collector, traced_to(collector, settings, monkeypatch) as both:
        await ready(both)
        public = await answer_of(port, "/health/ready")
        async with open_page(port, "/events", bearer(USER)) as page:
            await page.wait_for(lambda: bool(page.last_event_id))
            produce = ("produce", "--users", "1", "--seed", "7", "--rate", "0", "--count", "8")
            await asyncio.to_thread(eventbridge, *produce, settings=settings)
            await page.wait_for(lambda: any(event.type == "Genesis.Session.Started" for event in page.events))
            metrics = await asyncio.to_thread(both.scrape)
            health = await asyncio.to_thread(both.health, "/health")
            others = [await ask(port, "/events", bearer(new_user())) for _ in range(60)]
            both.signal(signal.SIGTERM)
            await said(both, "ending the streams")
            stopping = await asyncio.to_thread(both.health, "/health/ready")
            for ending in (page, *others):
                await ending.read_to_end()
                ending.leave()
        await said(both, "all streams were ended")
        await said(both, "stopping")
        code = await asyncio.to_thread(both.exit_code)

    assert code == 0, both.output()
    assert "stopped" in both.lines[-1]
    assert "Traceback" not in both.output()
    assert (public[0], health[0], stopping[0]) == (200, 200, 503)
    checks = cast("list[dict[str, str]]", health[1]["checks"])
    parts = {check["name"].partition(",")[0] for check in checks}
    assert parts == {"bridge", "gateway", "event loop"}
    families = [family.name for family in text_string_to_metric_families(metrics)]
    assert len(families) == len(set(families))
    assert {"eventbridge_events_published", "eventbridge_gateway_connections", "process_open_fds"} <= set(
        families
    )
    ((_, sent),) = collector.requests
    ((resource, spans),) = [
        (each.resource, each.scope_spans[0].spans)
        for each in ExportTraceServiceRequest.FromString(sent).resource_spans
    ]
    assert [one.value.string_value for one in resource.attributes if one.key == "service.name"] == [
        "eventbridge"
    ]
    relayed = {span.span_id for span in spans if span.name.startswith("process ")}
    delivered = [span.parent_span_id for span in spans if span.name == "deliver user"]
    assert delivered
    assert relayed.issuperset(delivered)


def test_the_settings_of_both_are_checked_at_the_start(settings: dict[str, str]) -> None:
    del settings["GATEWAY__JWT_KEY"]

    alone = eventbridge("config", settings=settings)
    both = eventbridge("run", "--with-gateway", settings=settings)

    assert alone.returncode == 0
    assert both.returncode == 2
    assert "gateway.jwt_key" in both.stderr
    assert "Traceback" not in both.stderr


def test_a_gateway_that_cannot_listen_ends_the_process(settings: dict[str, str]) -> None:
    port = settings["GATEWAY__PORT"]
    with (
        socket.create_server(("127.0.0.1", int(port))),
        running_bridge(settings, "--with-gateway") as both,
    ):
        code = both.exit_code()

    assert code == 1
    assert f"cannot listen on 127.0.0.1:{port}" in both.lines[-1]
    assert "Traceback" not in both.output()


def test_a_layout_that_does_not_fit_ends_the_process_as_a_wrong_setting(
    settings: dict[str, str], redis_url: str
) -> None:
    with Redis.from_url(redis_url) as client:
        client.hset("eb:layout", mapping={"version": 1, "shards": 3, "hash": "crc32"})

    with running_bridge(settings, "--with-gateway") as both:
        code = both.exit_code()

    assert code == 2
    assert "eb:layout says shards = 3, the settings say 8" in both.lines[-1]


@pytest.fixture
def parts(settings: dict[str, str], kafka: SharedKafka, redis_url: str, topic: str) -> Settings:
    return Settings.model_validate(
        {
            "kafka": {"bootstrap_servers": kafka.bootstrap, "topics": topic},
            "redis": {"url": redis_url},
            "telemetry": {"metrics_port": 0},
            "gateway": {"port": settings["GATEWAY__PORT"], "auth": "none"},
        }
    )


def test_a_defect_of_the_bridge_ends_the_process(parts: Settings, caplog: pytest.LogCaptureFixture) -> None:
    bridge = Container(settings=parts)
    bridge.source.override(providers.Resource(_broken_source))

    code = run_process(lambda: carry_and_serve(bridge, GatewayContainer(settings=parts)))

    assert code == 1
    assert "ended by an error that nothing was prepared for" in caplog.text
    assert "a defect of the source" in caplog.text


def test_a_defect_of_the_gateway_ends_the_process_and_stops_the_bridge(
    parts: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    gateway = GatewayContainer(settings=parts)
    gateway.background.override(providers.Object([_broken_hub]))

    code = run_process(lambda: carry_and_serve(Container(settings=parts), gateway))

    assert code == 1
    assert "stopped" in caplog.messages
    assert "ended by an error that nothing was prepared for" in caplog.text
    assert "a defect of the hub" in caplog.text


async def _broken_source() -> AsyncIterator[EventSource]:
    raise RuntimeError("a defect of the source")
    yield


async def _broken_hub() -> None:
    raise RuntimeError("a defect of the hub")
