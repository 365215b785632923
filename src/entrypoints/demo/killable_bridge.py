"""The bridge's process, as the demo sees it: killed as often as one likes, and back again."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable

import msgspec

from .board import Board, BridgeState
from .bridge_numbers import BridgeNumbers, Told
from .errors import DemoFailed
from .servers import EmbeddedServers

AWAY_SECONDS = 5.0
"""After so long a killed bridge is started again by itself."""

LOG = "bridge.log"


class KillableBridge:
    """Keeps a bridge running and the board told of it; `back` hears how long it was away each time."""

    def __init__(
        self,
        servers: EmbeddedServers,
        board: Board,
        note: Callable[[str], None],
        back: Callable[[float], None],
    ) -> None:
        self._servers = servers
        self._board = board
        self._note = note
        self._back = back
        self._process: asyncio.subprocess.Process | None = None
        self._again = asyncio.Event()
        self._stopping = False
        self._killed_at: float | None = None
        self._gone = asyncio.Event()
        self._decoder = msgspec.json.Decoder(Told)
        self.joined = asyncio.Event()
        """Set once a bridge has been given partitions."""

    async def run(self) -> None:
        """Return once the bridge has ended as `stop` asked. Raises `DemoFailed` where it ended by itself."""
        while not self._stopping:
            code = await self._live()
            if self._stopping:
                return
            if code >= 0:
                raise DemoFailed(f"the bridge has ended with code {code}: {self._servers.complaint(LOG)}")
            self._killed_at = time.monotonic()
            self._board.bridge = BridgeState.KILLED
            self._board.numbers = BridgeNumbers()
            self._gone.set()
            self._note(f"the bridge was killed; it comes back by itself after {AWAY_SECONDS:g} s")
            self._again.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AWAY_SECONDS):
                    await self._again.wait()

    def kill(self) -> None:
        """End it as `kill -9` does."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def gone(self) -> None:
        """Return once the board tells that it was killed."""
        await self._gone.wait()

    def start(self) -> None:
        """Start it again now."""
        self._again.set()

    def stop(self) -> None:
        """Have it finish what is in flight, commit and leave the group; `run` returns then."""
        self._stopping = True
        self._again.set()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()

    async def _live(self) -> int:
        """One life of the bridge; answers its exit code."""
        self._board.bridge = BridgeState.STARTING
        self._gone.clear()
        log_file = self._servers.directory / LOG
        with log_file.open("ab") as log:
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                f"{__package__}.bridge",
                self._servers.kafka,
                self._servers.redis_url,
                str(log_file),
                cwd=self._servers.directory,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C at the terminal is for us; it ends when we say so
            )
        try:
            if process.stdout is not None:
                async for line in process.stdout:
                    self._heard(self._decoder.decode(line))
            return await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    def _heard(self, told: Told) -> None:
        if told.note:
            self._note(told.note)
        if told.numbers is None:
            return
        self._board.numbers = told.numbers
        if told.numbers.joined and self._board.bridge is BridgeState.STARTING:
            self._board.bridge = BridgeState.RUNS
            self.joined.set()
            if self._killed_at is not None:
                self._back(time.monotonic() - self._killed_at)
