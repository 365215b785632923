"""FAULTS 46 for the gateway as a plain ASGI application: what a client holds is freed on every server that we
name in docs/embedding.md."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from eventbridge.adapters.redis.settings import RedisSettings
from eventbridge.adapters.redis.sse_service import RedisSSEService
from eventbridge.domain.message import SSEMessage
from tests.integration.gateway.running import AUDIENCE, KEY, bearer, new_user
from tests.integration.gateway.sse_client import Page, answer_of, ask
from tests.integration.gateway.test_departures import FREED_SECONDS, connections_to
from tests.servers import AsgiServer, RedisServer
from tests.servers.asgi import COMMANDS

SEND_TIMEOUT_SECONDS = 2

Departure = Callable[[Page], None]


class Served:
    """The gateway on some server, and who writes to its users' streams."""

    def __init__(self, redis: RedisServer, server: AsgiServer) -> None:
        self.redis = redis
        self.server = server
        self.port = server.port
        self.sink: RedisSSEService

    async def holds(self) -> dict[str, int]:
        """What is held for clients now, but for who asks."""
        _, _, body = await answer_of(self.port, "/footprint", {"Connection": "close"})
        return {**json.loads(body), "connections": connections_to(self.port)}

    async def until(
        self, there: Callable[[dict[str, int]], bool], seconds: float = FREED_SECONDS
    ) -> dict[str, int]:
        """Ask again and again until it holds."""
        held: dict[str, int] = {}
        try:
            async with asyncio.timeout(seconds):
                while not there(held := await self.holds()):
                    pass
        except TimeoutError:
            raise AssertionError(f"holds {held}") from None
        return held

    async def is_back_at(self, before: dict[str, int]) -> None:
        """Wait until no more is held than before."""
        await self.until(lambda held: all(held[name] <= before[name] for name in before))

    async def publish(self, user_id: str, *numbers: int, size: int = 0) -> str:
        """Append events; answers the position of the last."""
        position = ""
        for number in numbers:
            data = json.dumps({"n": number, "filling": "x" * size}).encode()
            position = await self.sink.publish_event(user_id, SSEMessage(event="Test.Numbered", data=data))
        return position


def settings(redis: RedisServer) -> dict[str, Any]:
    return {
        "redis": {"url": redis.url, "timeout_seconds": 1},
        "gateway": {
            "jwt_key": KEY,
            "jwt_algorithms": ["HS256"],
            "jwt_audience": AUDIENCE,
            "send_timeout_seconds": SEND_TIMEOUT_SECONDS,
            "drain_seconds": 1,
        },
    }


@pytest.fixture(scope="module")
def redis_of_module() -> Iterator[RedisServer]:
    with RedisServer() as redis:
        yield redis


@pytest.fixture(scope="module", params=sorted(COMMANDS))
def running(request: pytest.FixtureRequest, redis_of_module: RedisServer) -> Iterator[Served]:
    environment = {"SETTINGS_UNDER_TEST": json.dumps(settings(redis_of_module))}
    application = "tests.integration.gateway.watched_app:app"
    with AsgiServer(request.param, application, environment=environment) as server:
        yield Served(redis_of_module, server)


@pytest.fixture
async def served(running: Served) -> AsyncIterator[Served]:
    running.sink = RedisSSEService(RedisSettings(url=running.redis.url), "main")
    (await idle(running)).leave()  # so that the subscription that all pages share is made, and kept
    await running.until(lambda held: held["streams"] == 0)
    yield running
    await running.sink.close()


async def idle(served: Served) -> Page:
    page = await ask(served.port, "/events", bearer(new_user()))
    await page.wait_for_bytes(b"id: ")
    return page


async def sent_to(served: Served) -> Page:
    user = new_user()
    page = await ask(served.port, "/events", bearer(user), receive_buffer=4096)
    await served.until(lambda held: held["streams"] == 1)
    while not (await served.holds())["stuck"]:
        await served.publish(user, *range(10), size=20_000)
    return page


async def replaying(served: Served) -> Page:
    user = new_user()
    position = await served.publish(user, 0)
    await served.publish(user, *range(1, 300), size=8_000)
    header = {**bearer(user), "Last-Event-ID": position}
    page = await ask(served.port, "/events", header, receive_buffer=4096)
    await page.wait_for_bytes(b'"n": 1,')
    return page


@pytest.mark.parametrize("departure", [Page.leave, Page.reset])
@pytest.mark.parametrize("situation", [idle, sent_to, replaying])
async def test_a_client_that_leaves_is_forgotten(
    served: Served, situation: Callable[[Served], Awaitable[Page]], departure: Departure
) -> None:
    before = await served.holds()
    page = await situation(served)
    during = await served.holds()

    departure(page)

    await served.is_back_at(before)
    assert during["streams"] == during["slots"] == before["streams"] + 1


async def test_a_frozen_client_holds_nothing_but_its_connection(served: Served) -> None:
    before = await served.holds()
    page = await sent_to(served)

    cut = await served.until(lambda held: held["streams"] == 0, SEND_TIMEOUT_SECONDS + FREED_SECONDS)
    page.reset()

    await served.is_back_at(before)
    assert cut["slots"] == cut["sessions"] == 0


async def test_a_stop_ends_the_streams_with_a_word_when_to_come_again(served: Served) -> None:
    pages = [await idle(served) for _ in range(5)]

    stopping = asyncio.create_task(asyncio.to_thread(served.server.stop))
    for page in pages:
        await page.read_to_end()
        page.leave()
    await stopping
    await asyncio.to_thread(served.server.start)

    assert all(page.raw.endswith(b"\n\nretry: %d\n\n" % (page.retry_ms or 0)) for page in pages)
