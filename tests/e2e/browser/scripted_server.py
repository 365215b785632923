"""A web server whose event streams a test writes by hand: every request waits for what the test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, urlsplit

CLIENT = Path(__file__).parents[3] / "clients" / "js" / "src"
BLANK = b"<!doctype html><html lang=en><meta charset=utf-8><title>Page</title><link rel=icon href=data:,>"
PATIENCE_SECONDS = 20
_TYPES = {".js": "text/javascript", ".html": "text/html", ".css": "text/css"}


@dataclass(eq=False)
class Exchange:
    """One request for a stream, and the test's pen for its answer."""

    query: Mapping[str, str]
    headers: Mapping[str, str]
    writer: asyncio.StreamWriter
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def position(self) -> str | None:
        """Where the page wants to go on, however it says so."""
        return self.headers.get("last-event-id") or self.query.get("last_event_id")

    async def open(self, *, retry_ms: int = 10) -> Self:
        await self.answer(HTTPStatus.OK, "text/event-stream", f": ok\nretry: {retry_ms}\n\n".encode())
        return self

    async def answer(self, status: HTTPStatus, media_type: str = "text/plain", body: bytes = b"") -> None:
        origin = self.headers.get("origin", "*")
        head = [
            f"HTTP/1.1 {status.value} {status.phrase}",
            f"content-type: {media_type}",
            f"access-control-allow-origin: {origin}",
            "cache-control: no-store",
            "connection: close",
        ]
        await self.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        if media_type != "text/event-stream":
            self.end()

    async def event(self, position: str, number: int, kind: str = "Genesis.Session.Started") -> None:
        """The event of this number: its id in the data depends on the number alone."""
        data = json.dumps({"event_id": f"event-{number}", "number": number})
        await self.write(f"event: {kind}\nid: {position}\ndata: {data}\n\n".encode())

    async def reset(self, position: str, reason: str = "trimmed") -> None:
        data = json.dumps({"reason": reason, "position": position})
        await self.write(f"event: reset\nid: {position}\ndata: {data}\n\n".encode())

    async def say(self, kind: str, **data: object) -> None:
        """One of the gateway's own words, such as `stale`; it moves no position."""
        await self.write(f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode())

    async def write(self, chunk: bytes) -> None:
        self.writer.write(chunk)
        await self.writer.drain()

    def end(self) -> None:
        """End the answer in good order."""
        self.writer.close()

    def cut(self) -> None:
        """Reset the connection."""
        self.writer.transport.abort()

    async def left(self) -> None:
        """Wait until the page has let go of it."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.gone.wait()


class ScriptedServer:
    """Serves blank pages and the client's modules; streams are handed to the test, in order of request."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {"/": BLANK}
        self.streams = 0
        self._waiting: asyncio.Queue[Exchange] = asyncio.Queue()
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def next(self) -> Exchange:
        """The next request for a stream."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._waiting.get()

    @property
    def idle(self) -> bool:
        """Whether no request for a stream waits for an answer."""
        return self._waiting.empty()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, value in (line.split(":", 1) for line in head[1:] if line)
            }
            target = urlsplit(head[0].split(" ")[1])
            exchange = Exchange(dict(parse_qsl(target.query)), headers, writer)
            if target.path == "/events":
                self.streams += 1
                self._waiting.put_nowait(exchange)
                await reader.read()
                exchange.gone.set()
            else:
                await self._static(exchange, target.path)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the browser went away, or opened a connection in advance
        finally:
            self._open.discard(writer)
            writer.close()

    async def _static(self, exchange: Exchange, path: str) -> None:
        if path in self.pages:
            await exchange.answer(HTTPStatus.OK, "text/html", self.pages[path])
        elif path.startswith("/client/") and (file := CLIENT / path.removeprefix("/client/")).is_file():
            await exchange.answer(HTTPStatus.OK, _TYPES[file.suffix], file.read_bytes())
        else:
            await exchange.answer(HTTPStatus.NOT_FOUND)
