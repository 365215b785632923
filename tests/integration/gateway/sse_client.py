"""A page, as far as the gateway can tell: HTTP/1.1 and Server-Sent Events over a plain socket."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tests.unit.domain.sse_parser import Dispatched, EventStreamParser

LIMIT_SECONDS = 20.0
"""For whatever a test waits for; only a failing test takes so long."""


class Page:
    """One connection, after the head of its answer was read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.raw = b""
        """The body so far, without the chunks' sizes."""
        self.ended = False
        self._reader = reader
        self._writer = writer
        self._parser = EventStreamParser()
        self._taken = 0
        self._parsed = 0

    @property
    def last_event_id(self) -> str:
        """What an `EventSource` would send when it comes again."""
        return self._parser.last_event_id

    @property
    def retry_ms(self) -> int | None:
        return self._parser.reconnection_time

    @property
    def events(self) -> list[Dispatched]:
        """Every event so far."""
        return self._parser.events

    async def read_head(self) -> None:
        async with asyncio.timeout(LIMIT_SECONDS):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        self.status = int(head[0].split(" ")[1])
        self.headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])
        }

    async def next_event(self) -> Dispatched:
        """The next event that was not handed out yet; fails where the stream ends instead."""
        await self.wait_for(lambda: len(self.events) > self._taken)
        self._taken += 1
        return self.events[self._taken - 1]

    async def next_data(self) -> Any:
        """The next event's data, from JSON."""
        return json.loads((await self.next_event()).data)

    async def wait_for(self, there: Callable[[], bool]) -> None:
        """Read until something is there."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while not there():
                if not await self.read():
                    raise AssertionError(f"the stream ended: {self.status} {self.raw[-500:]!r}")

    async def wait_for_bytes(self, part: bytes) -> None:
        await self.wait_for(lambda: part in self.raw)

    async def read_to_end(self) -> bytes:
        """Everything up to the end of the answer, however it comes."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while await self.read():
                pass
        return self.raw

    def leave(self) -> None:
        """Close as a browser does when the page is closed."""
        self._writer.close()

    def reset(self) -> None:
        """Vanish without a farewell: RST. Nothing where the connection is over already."""
        if self._writer.is_closing():
            return
        linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()

    async def read(self) -> bool:
        """Take what comes next; False at the end."""
        if self.ended or self.status == 204:
            return False
        try:
            piece = await self._piece()
        except (asyncio.IncompleteReadError, ConnectionError):
            piece = b""
        if not piece:
            self.ended = True
            return False
        self.raw += piece
        end = self.raw.rfind(b"\n\n") + 2
        if end > self._parsed:
            self._parser.feed(self.raw[self._parsed : end])
            self._parsed = end
        return True

    async def _piece(self) -> bytes:
        if self.headers.get("transfer-encoding") == "chunked":
            size = int(await self._reader.readuntil(b"\r\n"), 16)
            return (await self._reader.readexactly(size + 2))[:-2]
        if "content-length" in self.headers:
            left = int(self.headers["content-length"]) - len(self.raw)
            return await self._reader.readexactly(left) if left else b""
        return await self._reader.read(65536)


async def ask(
    port: int,
    path: str,
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    host: str = "127.0.0.1",
    receive_buffer: int | None = None,
) -> Page:
    """Send one request and read the head of its answer; leaving is up to the caller."""
    page = await begin(port, path, headers, method=method, host=host, receive_buffer=receive_buffer)
    try:
        await page.read_head()
    except BaseException:
        page.reset()
        raise
    return page


async def begin(
    port: int,
    path: str,
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    host: str = "127.0.0.1",
    receive_buffer: int | None = None,
) -> Page:
    """Send one request and read nothing."""
    plain = socket.socket()
    if receive_buffer is not None:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    plain.setblocking(False)
    async with asyncio.timeout(LIMIT_SECONDS):
        await asyncio.get_running_loop().sock_connect(plain, (host, port))
        limit = receive_buffer or 1 << 20
        reader, writer = await asyncio.open_connection(sock=plain, limit=limit)
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    return Page(reader, writer)


@asynccontextmanager
async def open_page(
    port: int, path: str, headers: Mapping[str, str] | None = None, **options: Any
) -> AsyncIterator[Page]:
    """A page that is closed in the end."""
    page = await ask(port, path, headers, **options)
    try:
        yield page
    finally:
        page.leave()


async def answer_of(
    port: int, path: str, headers: Mapping[str, str] | None = None, **options: Any
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer that ends by itself."""
    async with open_page(port, path, headers, **options) as page:
        body = await page.read_to_end()
    return page.status, page.headers, body
