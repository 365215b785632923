"""The demo's page on a stage that a test moves: a real server, a stream written by hand."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from eventbridge.adapters.http.demo_page import SentEvent, StageAction, StageUser, demo_page_routes
from eventbridge.adapters.http.embedded_server import EmbeddedServer
from eventbridge.adapters.http.gateway_app import GatewayApp, gateway_routes
from eventbridge.adapters.http.whole_answers import send_json
from eventbridge.adapters.system_clock import SystemClock
from eventbridge.application.cause_log import CauseLog
from eventbridge.domain.origins import Origins

ADA = "4a3f8c52-3f0e-4bd2-9a57-0c7b31b1f001"
BOB = "4a3f8c52-3f0e-4bd2-9a57-0c7b31b1f002"
NOW = 1_795_000_000
"""When everything happens, in seconds since 1970, for a page whose clock is told so."""


class Stage:
    """Two users; Redis can be stopped and started."""

    def __init__(self) -> None:
        self.starting = ""
        self._produced: dict[str, list[SentEvent]] = {ADA: [], BOB: []}
        self.redis_runs = True

    def users(self) -> Sequence[StageUser]:
        return () if self.starting else (StageUser(ADA, "Ada"), StageUser(BOB, "Bob"))

    def produced(self, user_id: str) -> int:
        return len(self._produced[user_id])

    def sent(self, user_id: str, after: int, limit: int) -> tuple[int, Sequence[SentEvent]]:
        return after, self._produced[user_id][after : after + limit]

    def conditions(self) -> Mapping[str, str]:
        redis = {"redis": "runs", "circuit": "closed"}
        if not self.redis_runs:
            redis = {"redis": "is stopped", "circuit": "open"}
        return {**redis, "bridge": "runs", "starting": self.starting}

    def actions(self) -> Sequence[StageAction]:
        if self.redis_runs:
            return (StageAction("stop-redis", "Stop Redis"),)
        return (StageAction("start-redis", "Start Redis"),)

    async def act(self, action: str) -> bool:
        if action not in {offered.name for offered in self.actions()}:
            return False
        self.redis_runs = action == "start-redis"
        return True

    def produce(self, number: int, session: str = "s-1", user: str = ADA) -> None:
        self._produced[user].append(SentEvent(f"event-{number}", session))


class Stream:
    """One connection of the page to `/events`."""

    def __init__(self, query: Mapping[str, Sequence[str]], last_event_id: str, times: dict[str, int]) -> None:
        self.query = query
        self.last_event_id = last_event_id
        self.chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._times = times

    def event(self, number: int, payload: object = None, age_ms: int = 12) -> None:
        """Send one; for Kafka it is so old, for its producer much older."""
        self._times[f"{number}-0"] = NOW * 1000 - age_ms
        data = {
            "event_id": f"event-{number}",
            "event_type": ("Genesis.Session.Concept.Proposed", "Genesis.Session.StageCompleted")[number % 2],
            "timestamp": "2026-01-01T00:00:00Z",
            "payload": payload or {"title": f"The long corridor {number}", "proposals": number},
        }
        self.write(f"id: e.{number}-0\ndata: {json.dumps(data)}\n\n")

    def reset(self, number: int) -> None:
        data = json.dumps({"reason": "trimmed", "position": f"e.{number}-0"})
        self.write(f"event: reset\nid: e.{number}-0\ndata: {data}\n\n")

    def say(self, kind: str) -> None:
        self.write(f"event: {kind}\ndata: {{}}\n\n")

    def write(self, text: str) -> None:
        self.chunks.put_nowait(text.encode())

    def end(self) -> None:
        self.chunks.put_nowait(None)


class Streams:
    """`GET /events` of the staged demo."""

    def __init__(self) -> None:
        self._opened: asyncio.Queue[Stream] = asyncio.Queue()
        self.open: list[Stream] = []
        self.times: dict[str, int] = {}
        """Kafka's, by the event's id in the stream."""

    async def next(self) -> Stream:
        async with asyncio.timeout(20):
            return await self._opened.get()

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        query = parse_qs(scope["query_string"].decode())
        stream = Stream(query, headers.get(b"last-event-id", b"").decode(), self.times)
        self.open.append(stream)
        lines = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": lines})
        await send({"type": "http.response.body", "body": b"retry: 10\n\n", "more_body": True})
        self._opened.put_nowait(stream)
        while (chunk := await stream.chunks.get()) is not None:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class _Times:
    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send_json(send, 200, {"times": self._streams.times}, ())


class _Cut:
    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        while self._streams.open:
            self._streams.open.pop().end()
        await send_json(send, 200, {}, ())


@asynccontextmanager
async def staged_demo(stage: Stage | None) -> AsyncIterator[tuple[str, Streams]]:
    """The page's address, and its streams; without a stage as a gateway alone serves it."""
    streams = Streams()
    routes = demo_page_routes(stage, times=_Times(streams), cut=_Cut(streams))
    endpoints = routes | {("GET", "/events"): streams}
    app = GatewayApp(
        gateway_routes(endpoints), Origins(), CauseLog(logging.getLogger(__name__), SystemClock())
    )
    server = EmbeddedServer(app, "127.0.0.1", 0, drain_seconds=0.1)
    await server.start()
    try:
        yield f"http://127.0.0.1:{server.port}/", streams
    finally:
        await server.stop()
