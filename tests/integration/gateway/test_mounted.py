"""`examples/fastapi_app.py` as it stands: the gateway under a prefix of somebody else's application."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

from eventbridge.adapters.redis.settings import RedisSettings
from eventbridge.adapters.redis.sse_service import RedisSSEService
from eventbridge.domain.message import SSEMessage
from eventbridge.entrypoints.asgi import create_sse_app
from eventbridge.entrypoints.settings import Settings
from tests.integration.gateway.running import new_user
from tests.integration.gateway.sse_client import answer_of, open_page
from tests.servers import AsgiServer, RedisServer
from tests.unit.application.hub_under_test import eventually

EXAMPLES = Path(__file__).parents[3] / "examples"


async def test_the_example_shows_a_users_events_and_says_how_the_gateway_is(
    redis_server: Callable[..., RedisServer],
) -> None:
    redis = redis_server()
    environment = {
        "EVENTBRIDGE__REDIS__URL": redis.url,
        "EVENTBRIDGE__REDIS__TIMEOUT_SECONDS": "1",
        "EVENTBRIDGE__GATEWAY__AUTH": "none",
    }
    sink = RedisSSEService(RedisSettings(url=redis.url), "main")
    user = new_user()
    await sink.publish_event(user, SSEMessage(event="Told", data=b'{"n":0}'))
    example = AsgiServer("uvicorn on h11", "fastapi_app:app", app_dir=EXAMPLES, environment=environment)
    with example as server:
        async with open_page(server.port, f"/live/events?user={user}&event=message") as page:
            await page.wait_for(lambda: bool(page.last_event_id))
            await sink.publish_event(user, SSEMessage(event="Told", data=b'{"n":1}'))
            shown = await page.next_event()
        _, _, html = await answer_of(server.port, f"/?user={user}")
        _, _, document = await answer_of(server.port, "/live/openapi.json")
        outside = await answer_of(server.port, "/events")
        inside = await answer_of(server.port, "/live/nothing")
        well = await answer_of(server.port, "/health")
        await asyncio.to_thread(redis.stop)
        async with asyncio.timeout(20):
            while b"away" not in (ill := await answer_of(server.port, "/health"))[2]:
                pass
        ready = await answer_of(server.port, "/live/health/ready")
    await sink.close()

    assert (shown.type, shown.data) == ("message", '{"n":1}')
    assert b"/live/events" in html
    assert json.loads(document)["servers"] == [{"url": "/live"}]
    assert outside[1]["content-type"] == "application/json"
    assert inside[1]["content-type"] == "application/problem+json"
    assert (outside[0], inside[0]) == (404, 404)
    assert (well[0], json.loads(well[2])["redis"]) == (200, "answers")
    assert (ill[0], ready[0]) == (200, 200)


async def test_what_no_waiting_mends_is_told_to_whoever_asks_for_its_health(redis_url: str) -> None:
    sink = RedisSSEService(RedisSettings(url=redis_url, shards=8), "main")
    await sink.positions(())  # a bridge that has started
    await sink.close()
    settings = {"redis": {"url": redis_url, "shards": 16}, "gateway": {"auth": "none"}}
    app = create_sse_app(Settings.model_validate(settings))

    async with app.lifespan():
        await eventually(lambda: not app.health().live)
        report = app.health()

    assert not report.ready
    assert "16" in report.checks[0].detail
