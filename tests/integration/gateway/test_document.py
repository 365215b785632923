"""`/openapi.json` against what is really answered: every route, status and content type in it can be met, and
what is met is in it."""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from eventbridge.domain.credentials import COOKIE
from tests.integration.gateway.running import RunningGateway, bearer, new_user, running_gateway, token
from tests.integration.gateway.sse_client import answer_of, open_page
from tests.servers import RedisServer

ASKED_WITH_TOKEN = [("get", "/events"), ("get", "/position"), ("post", "/ticket")]
PUBLIC = [("get", "/health/live"), ("get", "/health/ready"), ("get", "/openapi.json")]

Met = set[tuple[str, str, str, str]]
"""Method, path, status and media type."""


class Reader:
    """Asks, notes what was answered, and holds bodies to the document's schemas."""

    def __init__(self, gateway: RunningGateway) -> None:
        self.gateway = gateway
        self.met: Met = set()
        self.document: dict[str, Any] = {}

    async def read_document(self) -> None:
        _, _, body = await answer_of(self.gateway.port, "/openapi.json")
        self.document = json.loads(body)

    async def ask(self, method: str, path: str, headers: Mapping[str, str], query: str = "") -> None:
        place = f"{path}{query}"
        async with open_page(self.gateway.port, place, headers, method=method.upper()) as page:
            media_type = page.headers.get("content-type", "").partition(";")[0]
            self.met.add((method, path, str(page.status), media_type))
            if media_type.endswith("json"):
                self.holds(method, path, str(page.status), media_type, json.loads(await page.read_to_end()))

    def holds(self, method: str, path: str, status: str, media_type: str, body: Any) -> None:
        schema = self.document["paths"][path][method]["responses"][status]["content"][media_type]["schema"]
        if "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        properties: dict[str, Any] = schema.get("properties", {})
        assert schema["type"] == "object"
        assert isinstance(body, dict)
        if properties:
            assert set(schema["required"]) <= set(body) <= set(properties)
        if "position" in body:
            assert re.fullmatch(properties["position"]["pattern"], body["position"])

    def documented(self) -> Met:
        found: Met = set()
        for path, operations in self.document["paths"].items():
            for method, operation in operations.items():
                for status, response in operation["responses"].items():
                    for media_type in response.get("content", {"": None}):
                        found.add((method, path, status, media_type))
        return found


async def test_what_is_documented_is_met_and_what_is_met_is_documented(
    redis_server: Callable[..., RedisServer],
) -> None:
    redis = redis_server()
    async with running_gateway(redis.url) as gateway:
        reader = Reader(gateway)
        await reader.read_document()
        await gateway.until(lambda: gateway.container.lifecycle().health().ready)
        revoked = new_user()
        await gateway.container.revocations().revoke(user_id=revoked)
        foreign = {"Cookie": f"{COOKIE}={token(new_user())}", "Origin": "https://evil.example"}
        too_large = {"X-Filling": "x" * 9000}
        for method, path in ASKED_WITH_TOKEN:
            await reader.ask(method, path, bearer(new_user()))
            await reader.ask(method, path, bearer(revoked))
            await reader.ask(method, path, bearer(new_user()), f"?user={new_user()}&user=x" + "&a=1" * 40)
            await reader.ask(method, path, {})
            await reader.ask(method, path, foreign)
            await reader.ask(method, path, too_large)
        for method, path in PUBLIC:
            await reader.ask(method, path, {})
            await reader.ask(method, path, too_large)
        await asyncio.to_thread(redis.stop)
        for method, path in ASKED_WITH_TOKEN:
            await reader.ask(method, path, bearer(new_user()))
        gateway.container.lifecycle().stopping()
        await reader.ask("get", "/health/ready", {})

    assert reader.met == reader.documented()


async def test_every_documented_parameter_counts(redis_url: str) -> None:
    user = new_user()
    async with running_gateway(redis_url) as gateway:
        reader = Reader(gateway)
        await reader.read_document()
        position = await gateway.publish(user, 1)
        _, _, ticket = await answer_of(gateway.port, "/ticket", bearer(user), method="POST")
        values = {
            "last_event_id": position,
            "Last-Event-ID": position,
            "last": "1",
            "event": "message",
            "ticket": json.loads(ticket)["ticket"],
            "user": user,
        }
        accepted: dict[str, int] = {}
        wrong: dict[str, int] = {}
        for parameter in reader.document["paths"]["/events"]["get"]["parameters"]:
            name = parameter["name"]
            for value, statuses in ((values[name], accepted), ("x", wrong)):
                headers = {} if name == "ticket" else bearer(user)
                path = "/events"
                if parameter["in"] == "header":
                    headers[name] = value
                else:
                    path = f"/events?{name}={value}"
                async with open_page(gateway.port, path, headers) as page:
                    statuses[name] = page.status

    # `user` counts only without authentication, and is refused with it. A cursor that is none is a reset.
    cursors = {"Last-Event-ID": 200, "last_event_id": 200}
    assert accepted == {**dict.fromkeys(values, 200), "user": 400}
    assert wrong == {**cursors, "last": 400, "event": 400, "ticket": 401, "user": 400}
