"""uvicorn inside our event loop: no signals, no set-up of logs, a port that is known once it listens."""

import asyncio
import contextlib
import socket
from collections.abc import Generator

import uvicorn
from starlette.types import ASGIApp

from ...domain.errors import EventBridgeError


class AddressUnavailable(EventBridgeError):
    """The address cannot be listened on: in use, not ours, or not allowed."""

    def __init__(self, host: str, port: int, detail: str) -> None:
        self.host = host
        self.port = port
        super().__init__(f"cannot listen on {host}:{port}: {detail}")


class _Server(uvicorn.Server):
    """A server that leaves signals to whoever owns the process, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then tell."""
        await super().startup(sockets)
        self.listening.set()


class EmbeddedServer:
    """Serves one ASGI application on `host`:`port` from `start` to `stop`; port 0 takes a free one.

    `drain_seconds` is how long `stop` waits for answers that are under way.
    """

    def __init__(self, app: ASGIApp, host: str, port: int, drain_seconds: float = 1) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._drain_seconds = drain_seconds
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port listened on; before `start` the one asked for."""
        return self._port

    async def start(self) -> None:
        """Return when connections are taken. Raises `AddressUnavailable`."""
        listener = await self._listen()
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=100,
            timeout_graceful_shutdown=max(1, round(self._drain_seconds)),
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]), name=f"http:{self._port}")
        listening = asyncio.create_task(self._server.listening.wait())
        try:
            await asyncio.wait({self._serving, listening}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self.stop()
            raise
        finally:
            listening.cancel()
        if self._serving.done():
            await self._serving

    async def stop(self) -> None:
        """Take no more connections, finish answers within the limit, and close. May be called twice."""
        server, serving = self._server, self._serving
        self._server = self._serving = None
        if server is None or serving is None:
            return
        server.should_exit = True
        done, _ = await asyncio.wait({serving}, timeout=self._drain_seconds + 2)
        if not done:
            serving.cancel()
            await asyncio.wait({serving}, timeout=1)
        elif (error := serving.exception()) is not None:
            raise error

    async def _listen(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(
                self._host or None, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            family, _, _, _, address = found[0]
            return socket.create_server(address, family=family)
        except (OSError, OverflowError) as error:
            detail = getattr(error, "strerror", None) or str(error)
            raise AddressUnavailable(self._host, self._port, detail) from error
