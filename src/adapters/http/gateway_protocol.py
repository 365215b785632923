"""HTTP/1.1 as the gateway speaks it: uvicorn's h11 protocol with limits to what a client may hold open."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from ...domain.problem import PROBLEM_MEDIA_TYPE, Problem
from .handed_over import HANDOVER, HandedOver
from .request_limits import MAX_HEAD_BYTES, TOO_LARGE

REQUEST_SECONDS: Final = 10.0
"""For a request to be there in whole; who is slower, on purpose or not, holds no descriptor."""

ABORT: Final = "eventbridge.abort"
"""ASGI extension: its `abort` drops the connection with all that waits to be sent, which ASGI cannot."""

_LINGER_SECONDS: Final = 1.0
"""What a refused client still sends is read for this long: closed at once, its kernel would throw the
refusal away."""

_MALFORMED: Final = Problem(400, "This is no HTTP/1.1 request.")


class GatewayProtocol(H11Protocol):
    """Refuses heads that are too long (431), drops requests that are too slow, and notices the end of clients
    that pipeline."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # The lines would hold the query, and with it tickets; uvicorn decides by whether anybody listens.
        self.access_log = False
        self._timer: asyncio.TimerHandle | None = None
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """Give the client its time for the first request."""
        super().connection_made(transport)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._forget_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes, unless the client was refused already."""
        if self._refused:
            return
        super().data_received(data)
        if self.conn.their_state in {h11.IDLE, h11.SEND_BODY}:
            self._await_request()
        else:
            self._forget_timer()
        if self.flow.read_paused and self.conn.our_state is not h11.DONE:
            self._go_on_reading()

    def handle_events(self) -> None:
        """Take the requests that are there, and give each one's application a way to end it at once, and one
        to have the connection for itself."""
        super().handle_events()
        if self.scope is not None:
            # Its task runs only after this.
            self.scope["extensions"] = {
                ABORT: {"abort": self.transport.abort},
                HANDOVER: {"take": self._hand_over},
            }

    def send_400_response(self, msg: str) -> None:
        """Refuse a head that cannot be read, in the same form as every other refusal."""
        del msg
        self._refused = True
        self._forget_timer()
        if self.cycle is not None and not self.cycle.response_complete:
            # Its head was good: the application has the request already, and is not to answer any more.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            # An answer is under way: there is no place for another one.
            self.transport.abort()
            return
        error = sys.exception()
        too_large = isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == 431
        problem = TOO_LARGE if too_large else _MALFORMED
        body = problem.document()
        headers = [
            ("content-type", PROBLEM_MEDIA_TYPE),
            ("content-length", str(len(body))),
            ("cache-control", "no-store"),
            ("connection", "close"),
        ]
        head = h11.Response(status_code=problem.status, headers=headers, reason=problem.title.encode())
        for event in (head, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._timer = self.loop.call_later(_LINGER_SECONDS, self.transport.abort)

    def shutdown(self) -> None:
        """The server stops."""
        if self._refused:
            self.transport.abort()
        else:
            super().shutdown()

    def _should_upgrade(self) -> bool:
        """Answer as if nothing had been asked for; uvicorn would tell operators to install WebSockets."""
        return False

    def _hand_over(self, headers: Sequence[tuple[bytes, bytes]], receiver: HandedOver) -> bool:
        cycle = self.cycle
        whole = self.conn.their_state in {h11.DONE, h11.MUST_CLOSE}
        if not whole or cycle.response_started or cycle.disconnected or self.transport.is_closing():
            return False
        if self.transport.get_write_buffer_size():
            # An answer before this one waits: the transport may have paused us, and would not tell the next.
            return False
        # For uvicorn the request has been answered.
        cycle.response_started = cycle.response_complete = True
        self._forget_timer()
        self.flow.resume_reading()
        self.connections.discard(self)
        lines = [*self.server_state.default_headers, *headers, (b"connection", b"close")]
        head = b"".join([b"%b: %b\r\n" % line for line in lines])
        # Without a length and not in chunks, the answer lasts as long as the connection, also for HTTP/1.0.
        receiver.begin(self.transport, self.connections, b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        # Else these hold each other until a garbage collection.
        del self.scope, self.headers, self.cycle, self.conn, self.flow, self.transport
        return True

    def _go_on_reading(self) -> None:
        """A request that waits behind a running answer must not hide that the client goes away."""
        waiting, _ = self.conn.trailing_data
        if len(waiting) > MAX_HEAD_BYTES:
            self.transport.abort()
        elif waiting:
            self.flow.resume_reading()

    def _await_request(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
