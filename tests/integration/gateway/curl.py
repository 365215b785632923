"""A page over TLS and HTTP/2, as far as a proxy can tell: the `curl` program."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.integration.gateway.sse_client import LIMIT_SECONDS
from tests.unit.domain.sse_parser import Dispatched, EventStreamParser


class CurlPage:
    """One request, read as it comes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.raw = b""
        self._process = process
        self._parser = EventStreamParser()

    @property
    def last_event_id(self) -> str:
        """What an `EventSource` would send when it comes again."""
        return self._parser.last_event_id

    @property
    def events(self) -> list[Dispatched]:
        """Every event so far."""
        return self._parser.events

    async def wait_for(self, there: Callable[[], bool]) -> None:
        """Read until something is there; fails where the answer ends instead."""
        assert self._process.stdout is not None
        async with asyncio.timeout(LIMIT_SECONDS):
            while not there():
                line = await self._process.stdout.readline()
                if not line:
                    raise AssertionError(f"the answer ended: {self.raw!r}")
                self.raw += line
                self._parser.feed(line)

    async def read_to_end(self) -> bytes:
        """Everything up to the end of the answer."""
        assert self._process.stdout is not None
        async with asyncio.timeout(LIMIT_SECONDS):
            self.raw += await self._process.stdout.read()
        return self.raw

    async def leave(self) -> None:
        """Go away."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def open_by_curl(
    url: str, headers: Mapping[str, str], *, authority: Path, source: str = "127.0.0.1"
) -> AsyncIterator[CurlPage]:
    """A page that comes from an address of this machine, and is closed in the end.

    Its first line is what `curl` says of the answer's head: `HTTP/2 200`.
    """
    lines = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    process = await asyncio.create_subprocess_exec(
        *("curl", "--silent", "--include", "--no-buffer", "--http2", "--cacert", str(authority)),
        *("--interface", source, "--noproxy", "*", *lines, url),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    page = CurlPage(process)
    try:
        yield page
    finally:
        await page.leave()
