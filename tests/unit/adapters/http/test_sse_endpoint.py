"""A stream from its request to its end, where the server, the drain or the client come in between."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable

import pytest
from starlette.types import Message

from eventbridge.adapters.http.gateway_app import GatewayApp, gateway_routes
from eventbridge.adapters.http.sse_endpoint import SseEndpoint, StreamServing
from eventbridge.adapters.telemetry.gateway_metrics import GatewayMetrics
from eventbridge.application.admission import Admission, AdmissionLimits
from eventbridge.application.cause_log import CauseLog
from eventbridge.application.comeback import Comeback
from eventbridge.application.errors import SinkMisconfigured, SinkUnavailable
from eventbridge.application.gateway_ports import Identity
from eventbridge.application.open_streams import OpenStreams
from eventbridge.domain.origins import Origins
from eventbridge.domain.request_parts import Headers, Query
from tests.unit.application.hub_under_test import ANN, HubUnderTest, eventually
from tests.unit.application.test_open_streams import EnoughSlots, Revoked


class Desk:
    """Lets everybody be Ann, once the test lets it."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()
        self.away = self.refuses = False

    async def identify(self, headers: Headers, query: Query) -> Identity:
        self.asked.set()
        await self.answers.wait()
        if self.away:
            raise SinkUnavailable("connection")
        if self.refuses:
            raise SinkMisconfigured("rights")
        return Identity(ANN, 4_000_000_000, None)

    async def look(self) -> None:
        """The question whether the store is back."""
        if self.away:
            raise SinkUnavailable("connection")


class Visit:
    """One request, on a server that says of a client that left what ASGI 2.4 says: `OSError`."""

    def __init__(self) -> None:
        self.body = b""
        self.whole = False
        self.gone = asyncio.Event()

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.gone.is_set():
            raise OSError("the client is gone")
        self.body += message.get("body", b"")
        self.whole = message["type"] == "http.response.body" and not message["more_body"]


class Endpoint:
    """The endpoint within its application, on a hub over streams in memory."""

    def __init__(self, hub: HubUnderTest) -> None:
        self.hub = hub
        self.desk = Desk()
        self.comeback = Comeback(self.desk.look)
        self.metrics = GatewayMetrics()
        self.streams = OpenStreams(Revoked(), hub.clock, max_age_seconds=900, send_timeout_seconds=20)
        self.admission = Admission(AdmissionLimits(), EnoughSlots(), self.metrics, hub.clock)
        events = SseEndpoint(
            hub=hub.hub,
            streams=self.streams,
            admission=self.admission,
            identities=self.desk,
            origins=Origins(),
            comeback=self.comeback,
            metrics=self.metrics,
            clock=hub.clock,
            serving=StreamServing(replay_max_entries=1000, stale_after_seconds=60, heartbeat_seconds=0.01),
        )
        causes = CauseLog(logging.getLogger("endpoint-under-test"), hub.clock)
        self._app = GatewayApp(gateway_routes({("GET", "/events"): events}), Origins(), causes)

    def serve(self, visit: Visit) -> Awaitable[None]:
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/events",
            "raw_path": b"/events",
            "root_path": "",
            "query_string": b"",
            "headers": [],
            "client": ("192.0.2.1", 1),
        }
        return asyncio.ensure_future(self._app(scope, visit.receive, visit.send))


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with HubUnderTest().running() as hub:
        yield Endpoint(hub)


async def test_a_page_that_was_on_its_way_when_the_drain_began_is_sent_away(endpoint: Endpoint) -> None:
    endpoint.desk.answers.clear()
    visit = Visit()
    served = endpoint.serve(visit)
    await endpoint.desk.asked.wait()
    await endpoint.streams.drain(0)

    endpoint.desk.answers.set()
    async with asyncio.timeout(10):
        await served

    assert visit.whole
    assert b"retry: " in visit.body
    assert len(endpoint.streams) == 0
    assert endpoint.metrics.registry.get_sample_value(
        "eventbridge_gateway_refusals_total", {"reason": "drain"}
    )


async def test_a_server_that_raises_for_a_client_that_left_is_no_error_of_ours(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    visit = Visit()
    served = endpoint.serve(visit)
    await eventually(lambda: b"id: " in visit.body)
    (page,) = endpoint.hub.hub.sessions()

    visit.gone.set()
    page.outlet.write(b"too late")
    await served

    assert endpoint.admission.open == 0
    assert caplog.records == []


async def test_heartbeats_come_while_redis_is_away_also_before_that_counts_as_stale(
    endpoint: Endpoint,
) -> None:
    endpoint.desk.away = True
    visit = Visit()
    served = endpoint.serve(visit)

    await eventually(lambda: visit.body.count(b": hb\n\n") > 1)

    assert b"event: stale" not in visit.body
    visit.gone.set()
    await served
    await endpoint.comeback.close()


async def test_who_it_is_is_asked_ever_more_seldom_where_the_store_answers_everything_else(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a right is missing: else thousands of waiting pages would each ask about every second."""
    spreads: list[float] = []

    def least(lowest: float, highest: float) -> float:
        if lowest == 0:
            spreads.append(highest)
        return 0

    monkeypatch.setattr(random, "uniform", least)
    endpoint.desk.refuses = True
    visit = Visit()
    served = endpoint.serve(visit)

    await eventually(lambda: len(spreads) >= 6)

    assert spreads[:6] == [1, 2, 4, 8, 10, 10]
    visit.gone.set()
    await served
    await endpoint.comeback.close()
