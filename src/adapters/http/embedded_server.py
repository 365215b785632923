"""uvicorn inside our event loop: no signals, no set-up of logs, a port that is known once it listens."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

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

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close, also what was accepted while the others were being closed."""
        await super().shutdown(sockets)
        for connection in tuple(self.server_state.connections):
            connection.shutdown()


@dataclass(frozen=True, slots=True)
class ServerTuning:
    """What differs between a server for a few probes and one for thousands of streams."""

    protocol: type[asyncio.Protocol] | None = None
    """uvicorn's protocol class; None: the one on h11."""
    max_head_bytes: int | None = None
    """What is kept of a request's head that is not whole yet; None: h11's 16 KiB."""
    max_connections: int | None = 100
    """Above it each request is answered by 503; None is no limit."""
    backlog: int = 128
    """Connections that may wait to be accepted."""
    socket_options: Mapping[tuple[int, int], int] = field(default_factory=dict)
    """By level and name; accepted connections inherit them from the listener."""


FEW_PROBES = ServerTuning()


class EmbeddedServer:
    """Serves one ASGI application on `host`:`port` from `start` to `stop`; port 0 takes a free one.

    `drain_seconds` is how long `stop` waits for answers that are under way.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        drain_seconds: float = 1,
        tuning: ServerTuning = FEW_PROBES,
    ) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._drain_seconds = drain_seconds
        self._tuning = tuning
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
            http=self._tuning.protocol or "h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # Whose word about addresses counts is decided by the application (`domain.client_address`).
            proxy_headers=False,
            limit_concurrency=self._tuning.max_connections,
            backlog=self._tuning.backlog,
            h11_max_incomplete_event_size=self._tuning.max_head_bytes,
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
            listener = socket.create_server(address, family=family, backlog=self._tuning.backlog)
            for (level, name), value in self._tuning.socket_options.items():
                listener.setsockopt(level, name, value)
            return listener
        except (OSError, OverflowError) as error:
            raise AddressUnavailable(self._host, self._port, _reason(error)) from error


def _reason(error: OSError | OverflowError) -> str:
    if isinstance(error, OSError) and not isinstance(error, socket.gaierror) and error.errno:
        return os.strerror(error.errno)  # its own text repeats the address
    return getattr(error, "strerror", None) or str(error)
