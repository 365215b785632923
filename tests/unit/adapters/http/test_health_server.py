import asyncio
import http.client
import json
import signal
import socket
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry

from eventbridge.adapters.http.embedded_server import AddressUnavailable, EmbeddedServer
from eventbridge.adapters.http.health_server import HealthServer
from eventbridge.adapters.http.loop_watch import LoopWatch
from eventbridge.adapters.telemetry.prometheus import PrometheusTelemetry
from eventbridge.application.health import Check, HealthReport

WELL = HealthReport(live=True, ready=True, checks=(Check("redis", True, "answers"),))


class Bridge:
    """What the server shows; the test changes the report."""

    def __init__(self) -> None:
        self.report = WELL
        self.telemetry = PrometheusTelemetry()
        self.loop_watch = LoopWatch()
        self.server = HealthServer(
            "127.0.0.1", 0, lambda: self.report, self.telemetry.registry, loop_watch=self.loop_watch
        )

    async def get(
        self, path: str, method: str = "GET", headers: dict[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        return await asyncio.to_thread(self._get, path, method, headers or {})

    async def get_json(self, path: str) -> tuple[int, object]:
        status, _, body = await self.get(path)
        return status, json.loads(body)

    def _get(
        self, path: str, method: str, headers: dict[str, str]
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    bridge = Bridge()
    async with bridge.server:
        yield bridge


async def test_a_bridge_that_is_well_answers_200_everywhere(bridge: Bridge) -> None:
    assert await bridge.get_json("/health/live") == (200, {"live": True, "reasons": []})
    assert await bridge.get_json("/health/ready") == (200, {"ready": True, "reasons": []})

    status, report = await bridge.get_json("/health")
    assert status == 200
    assert isinstance(report, dict)
    assert (report["live"], report["ready"]) == (True, True)
    assert report["checks"][0] == {"name": "redis", "ok": True, "detail": "answers"}
    assert report["checks"][1]["name"] == "event loop"


async def test_a_bridge_that_is_not_ready_says_why_and_stays_live(bridge: Bridge) -> None:
    bridge.report = HealthReport(
        live=True,
        ready=False,
        checks=(Check("redis", False, "does not answer"), Check("kafka", True, "4 partitions")),
    )

    live = await bridge.get_json("/health/live")
    ready = await bridge.get_json("/health/ready")
    status, report = await bridge.get_json("/health")

    assert live == (200, {"live": True, "reasons": []})
    assert ready == (503, {"ready": False, "reasons": ["redis: does not answer"]})
    assert status == 503
    assert isinstance(report, dict)
    assert [check["ok"] for check in report["checks"]] == [False, True, True]


async def test_a_bridge_that_is_not_live_is_not_ready_either(bridge: Bridge) -> None:
    bridge.report = HealthReport(live=False, ready=True)

    assert (await bridge.get_json("/health/live"))[0] == 503
    assert (await bridge.get_json("/health/ready"))[0] == 503


async def test_a_loop_that_was_held_too_long_turns_live_red(bridge: Bridge) -> None:
    bridge.loop_watch.observe(20, asyncio.get_running_loop().time())

    live = await bridge.get_json("/health/live")
    ready = await bridge.get_json("/health/ready")

    reasons = ["event loop: at most 20.000 s late in the last 15 s"]
    assert live == (503, {"live": False, "reasons": reasons})
    assert ready == (503, {"ready": False, "reasons": reasons})


async def test_answers_are_never_cached(bridge: Bridge) -> None:
    _, headers, _ = await bridge.get("/health")

    assert headers["cache-control"] == "no-store"
    assert headers["content-type"] == "application/json"
    assert "server" not in headers


async def test_secrets_in_a_reason_are_masked(bridge: Bridge) -> None:
    bridge.report = HealthReport(
        live=True, ready=False, checks=(Check("redis", False, "redis://:hunter2@redis:6379 refuses"),)
    )

    bodies = [(await bridge.get(path))[2] for path in ("/health", "/health/ready")]

    assert all(b"redis://***@redis:6379 refuses" in body for body in bodies)
    assert not any(b"hunter2" in body for body in bodies)


async def test_metrics_are_served_as_prometheus_text(bridge: Bridge) -> None:
    bridge.telemetry.committed()

    status, headers, body = await bridge.get("/metrics")

    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b"\neventbridge_commits_total 1.0\n" in body
    assert b"\neventbridge_loop_lag_seconds_count " in body
    assert b"\nprocess_start_time_seconds " in body


async def test_metrics_are_served_as_openmetrics_to_who_asks(bridge: Bridge) -> None:
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}

    status, headers, body = await bridge.get("/metrics", headers=accept)

    assert status == 200
    assert headers["content-type"].startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("HEAD", "/health/live", 200),
        ("POST", "/health", 405),
        ("DELETE", "/metrics", 405),
        ("GET", "/", 404),
        ("GET", "/health/live/../../etc", 404),
    ],
)
async def test_nothing_else_is_served(bridge: Bridge, method: str, path: str, expected: int) -> None:
    status, _, _ = await bridge.get(path, method)

    assert status == expected


async def test_a_request_that_is_no_http_harms_nobody(bridge: Bridge) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", bridge.server.port)
    writer.write(b"\x00\xff garbage\r\n\r\n")
    answer = await reader.read()
    writer.close()

    assert answer.startswith(b"HTTP/1.1 400")
    assert (await bridge.get_json("/health/live"))[0] == 200


async def test_a_health_function_that_fails_is_a_red_answer_not_the_end(bridge: Bridge) -> None:
    def broken() -> HealthReport:
        raise RuntimeError("planted")

    server = HealthServer("127.0.0.1", 0, broken, CollectorRegistry())
    async with server:
        bridge.server = server
        first, second = await bridge.get("/health/live"), await bridge.get("/health/ready")

    assert (first[0], second[0]) == (500, 500)
    assert b"planted" not in first[2]


async def test_a_port_in_use_is_a_clear_error(bridge: Bridge) -> None:
    second = HealthServer("127.0.0.1", bridge.server.port, lambda: WELL, CollectorRegistry())

    with pytest.raises(AddressUnavailable, match=rf"127\.0\.0\.1:{bridge.server.port}: .*[Aa]ddress"):
        await second.start()

    assert (await bridge.get_json("/health/live"))[0] == 200


async def test_a_host_that_does_not_exist_is_a_clear_error() -> None:
    server = HealthServer("not a host", 0, lambda: WELL, CollectorRegistry())

    with pytest.raises(AddressUnavailable, match="not a host"):
        await server.start()


async def test_after_stop_the_port_is_free_again() -> None:
    bridge = Bridge()
    await bridge.server.start()
    port = bridge.server.port

    await bridge.server.stop()
    await bridge.server.stop()

    with socket.create_server(("127.0.0.1", port)):
        pass


async def test_stop_does_not_wait_for_a_client_that_says_nothing() -> None:
    bridge = Bridge()
    await bridge.server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", bridge.server.port)
    writer.write(b"GET /health HTTP/1.1\r\n")

    async with asyncio.timeout(10):
        await bridge.server.stop()
        rest = await reader.read()

    writer.close()
    assert rest == b""


async def test_signals_stay_with_whoever_owns_the_process() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    async with Bridge().server:
        during = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    assert during == before


async def test_a_start_that_is_cancelled_leaves_the_port_free() -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        raise AssertionError

    server = EmbeddedServer(app, "127.0.0.1", 0)
    starting = asyncio.create_task(server.start())
    while server.port == 0:  # noqa: ASYNC110 - nothing tells the moment between binding and listening
        await asyncio.sleep(0)

    starting.cancel()
    await asyncio.wait({starting})

    assert starting.cancelled()
    with socket.create_server(("127.0.0.1", server.port)):
        pass
