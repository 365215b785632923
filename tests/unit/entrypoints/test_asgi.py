"""The mountable gateway before it runs: its settings are looked at, and it serves nobody yet."""

import asyncio

import pytest
from starlette.types import Message, Scope

from eventbridge.entrypoints.asgi import NotStarted, SseApp, create_sse_app
from eventbridge.entrypoints.settings import Settings
from eventbridge.entrypoints.settings_errors import WrongSettings


def unauthenticated(**gateway: object) -> SseApp:
    redis = {"url": "redis://127.0.0.1:1/0"}  # nobody is there
    return create_sse_app(Settings.model_validate({"redis": redis, "gateway": {"auth": "none", **gateway}}))


def request(path: str, client: str | None) -> Scope:
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "client": client and (client, 4711),
    }


async def ask(app: SseApp, scope: Scope) -> int:
    """The answer's status."""
    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    return statuses[0]


def test_what_contradicts_itself_is_refused_when_it_is_made() -> None:
    with pytest.raises(WrongSettings) as wrong:
        create_sse_app(Settings.model_validate({"gateway": {"cors_origins": ("*",)}}))

    assert "gateway.jwt_audience" in str(wrong.value)
    assert "gateway.cors_origins" in str(wrong.value)


async def test_without_its_lifespan_it_says_what_is_missing() -> None:
    app = unauthenticated()

    with pytest.raises(NotStarted, match="lifespan"):
        await ask(app, request("/health/live", "127.0.0.1"))

    assert not app.health().ready


async def test_without_authentication_only_this_machine_is_served() -> None:
    app = unauthenticated()

    async with app.lifespan():
        near = [await ask(app, request("/health/live", address)) for address in ("127.0.0.1", "::1")]
        far = [await ask(app, request("/health/live", address)) for address in ("192.0.2.7", "testclient")]
        nobody = await ask(app, request("/health/live", None))

    assert (near, far, nobody) == ([200, 200], [403, 403], 403)


async def test_it_can_run_again_but_not_twice_at_a_time() -> None:
    app = unauthenticated()

    async with app.lifespan():
        with pytest.raises(RuntimeError, match="already"):
            await app.lifespan().__aenter__()
    async with app.lifespan():
        live = await ask(app, request("/health/live", "127.0.0.1"))

    assert live == 200


async def test_served_by_itself_the_server_starts_and_ends_it() -> None:
    app = unauthenticated()
    told = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    heard: list[str] = []
    served: list[bool] = []

    async def receive() -> Message:
        return told.pop(0)

    async def send(message: Message) -> None:
        heard.append(message["type"])
        served.append(app.health().checks[0].detail != "not started")

    await app({"type": "lifespan", "state": {}}, receive, send)

    assert heard == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert served == [True, False]


async def test_streams_that_are_open_at_its_end_are_told_when_to_come_again() -> None:
    app = unauthenticated()
    scope = request("/events", "127.0.0.1")
    scope["query_string"] = b"user=3f2b8c1e-0000-4000-8000-00000000000a"
    bodies: list[Message] = []
    begun = asyncio.Event()

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            bodies.append(message)
            begun.set()

    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks, app.lifespan():
        tasks.create_task(app(scope, receive, send))
        await begun.wait()

    assert bodies[-2]["body"].startswith(b"retry: ")
    assert not bodies[-1]["more_body"]
