"""`GET /events`: one user's stream on one connection, from the request to the last byte."""

import asyncio
import itertools
import random
import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from starlette.types import Receive, Scope, Send

from ...application import frames
from ...application.admission import Admission, Admitted, Refused
from ...application.comeback import Comeback
from ...application.errors import (
    ForbiddenOrigin,
    KeysUnavailable,
    Revoked,
    SinkMisconfigured,
    SinkUnavailable,
    Unauthorized,
)
from ...application.gateway_ports import GatewayTelemetry, Identity
from ...application.live_hub import LiveHub
from ...application.mailbox import Mailbox
from ...application.open_streams import EndedBy, OpenStreams
from ...application.ports import Clock
from ...application.stream_session import EndReason, StreamSession, StreamStart
from ...domain.client_address import Network
from ...domain.origins import Origins
from ...domain.request_parts import Headers, Query, parse_query
from ...domain.routing import user
from ...domain.stream_request import StreamRequest, stream_request
from .connection import UntilGone
from .gateway_requests import Identities, address_of
from .handed_over import HANDOVER, HandedOver, Take

STREAM_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
)
"""No `connection`, which HTTP/2 forbids. The third keeps nginx from buffering."""

_SPREAD_SECONDS: Final = (1.0, 10.0)
"""Pages that waited for the store ask it within this time, not all at once; after each time in vain within
twice as much, up to the second."""

_UNPARSABLE: Final = "?"
"""Stands for a cursor that is none."""


class StreamMetrics(GatewayTelemetry, Protocol):
    """What this endpoint tells operators, beyond what streams tell."""

    def refused(self, reason: str) -> None:
        """A connect was not let in."""


@dataclass(frozen=True, slots=True)
class StreamServing:
    """How streams are served."""

    replay_max_entries: int
    stale_after_seconds: float
    heartbeat_seconds: float
    names_user: bool = False
    """Whether `?user=` says whose stream it is, without proof."""
    trusted_proxies: Sequence[Network] = ()


class _Connection(Protocol):
    def drop(self) -> None:
        """End it at once, whatever waits to be sent."""


class _Guest(NamedTuple):
    """A page that was let in."""

    identity: Identity
    slot: Admitted
    heard: int
    """`OpenStreams.heard` before it was identified."""


class _Stream:
    """The connection as `OpenStreams` knows it."""

    __slots__ = (
        "_connection",
        "_outlet",
        "_session",
        "_streams",
        "ends_at",
        "ends_with_token",
        "identity",
        "slot",
    )

    def __init__(
        self,
        guest: _Guest,
        session: StreamSession,
        outlet: Mailbox | HandedOver,
        connection: _Connection,
        streams: OpenStreams,
    ) -> None:
        self.identity = guest.identity
        self.slot = guest.slot
        self.ends_at, self.ends_with_token = streams.lifetime(guest.identity)
        self._session = session
        self._outlet = outlet
        self._connection = connection
        self._streams = streams

    @property
    def sending_since(self) -> float | None:
        return self._outlet.sending_since

    def end(self, reason: EndedBy, retry_ms: int | None) -> None:
        self._session.close(reason, retry_ms=retry_ms)

    def cut(self, reason: EndedBy) -> None:
        self._session.close(reason)
        self._connection.drop()

    def sending(self) -> None:
        """As in `Page`."""
        self._streams.watch(self)

    def gone(self) -> None:
        """As in `Page`."""
        self._outlet.page = None
        self._streams.remove(self)
        self._session.close(EndReason.GONE)


class SseEndpoint:
    """Lets pages in and serves them; raises what the gateway's application makes problem documents of.

    Where a page may come again later the answer is 200, `retry:` and the end: an `EventSource` takes any
    other status for final.
    """

    def __init__(
        self,
        *,
        hub: LiveHub,
        streams: OpenStreams,
        admission: Admission,
        identities: Identities,
        origins: Origins,
        comeback: Comeback,
        metrics: StreamMetrics,
        clock: Clock,
        serving: StreamServing,
    ) -> None:
        self._hub = hub
        self._streams = streams
        self._admission = admission
        self._identities = identities
        self._origins = origins
        self._comeback = comeback
        self._metrics = metrics
        self._clock = clock
        self._serving = serving
        self._process = secrets.token_hex(6)
        self._connections = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one page until either side has enough."""
        headers = scope["headers"]
        query = parse_query(scope["query_string"])
        wanted = stream_request(
            headers,
            query,
            replay_limit=self._serving.replay_max_entries,
            names_user=self._serving.names_user,
        )
        answer = _Answer(scope, send, self._origins.cors(headers))
        if self._streams.draining:
            await self._refuse(answer, "drain", self._streams.retry_ms())
            return
        slot = self._admission.enter(address_of(scope, self._serving.trusted_proxies))
        if isinstance(slot, Refused):
            await self._refuse(answer, slot.reason, slot.retry_ms)
            return
        async with AsyncExitStack() as held:
            await held.enter_async_context(slot)
            async with UntilGone(scope, receive) as connection:
                heard = self._streams.heard
                identity = await self._identified(headers, query, answer)
                if identity is None:
                    await self._refuse(answer, "unavailable", self._streams.retry_ms())
                    return
                refused = await slot.claim(identity.user_id, f"{self._process}-{next(self._connections)}")
                if refused is not None:
                    await self._refuse(answer, refused.reason, refused.retry_ms)
                    return
                if self._streams.draining:
                    # It has begun meanwhile, and does not know of this one.
                    await self._refuse(answer, "drain", self._streams.retry_ms())
                    return
                guest = _Guest(identity, slot, heard)
                handed = HandedOver(self._metrics, self._clock)
                if answer.hand_over(handed):
                    self._open(guest, wanted, handed, handed)
                    held.pop_all()
                else:
                    mailbox = Mailbox(self._metrics, self._clock)
                    stream = self._open(guest, wanted, mailbox, connection)
                    held.pop_all()
                    try:
                        async for chunk in mailbox.frames():
                            await answer.write(chunk)
                        await answer.finish()
                    finally:
                        stream.gone()

    def _open(
        self, guest: _Guest, wanted: StreamRequest, outlet: Mailbox | HandedOver, connection: _Connection
    ) -> _Stream:
        target = user(guest.identity.user_id)
        session = self._hub.open(target, outlet, _start_of(wanted), named=not wanted.as_message)
        stream = _Stream(guest, session, outlet, connection, self._streams)
        self._streams.add(stream, guest.heard)
        outlet.page = stream
        return stream

    async def _identified(self, headers: Headers, query: Query, answer: "_Answer") -> Identity | None:
        """Who it is, once that can be said; None where the page is to come again.

        While Redis is away the page is connected, and waits (DELIVERY.md 5.6). What it is refused after that
        it learns when it comes again: the status is out already.
        """
        try:
            return await self._identities.identify(headers, query)
        except KeysUnavailable:
            return None
        except (SinkUnavailable, SinkMisconfigured):
            since = self._clock.now_ms()
        spread, longest = _SPREAD_SECONDS
        stale = False
        stale_at = self._clock.monotonic() + self._serving.stale_after_seconds
        await answer.write(frames.opening(self._streams.retry_ms()))
        while True:
            until_stale = self._serving.heartbeat_seconds if stale else stale_at - self._clock.monotonic()
            try:
                async with asyncio.timeout(min(self._serving.heartbeat_seconds, until_stale)):
                    await self._comeback.wait()
            except TimeoutError:
                if stale or self._clock.monotonic() < stale_at:
                    await answer.write(frames.BEAT)
                else:
                    stale = True
                    await answer.write(frames.stale(since))
                continue
            if self._streams.draining:
                return None
            await asyncio.sleep(random.uniform(0, spread))  # noqa: S311 - spreads load
            try:
                identity = await self._identities.identify(headers, query)
            except (SinkUnavailable, SinkMisconfigured):
                spread = min(2 * spread, longest)
                continue
            except (Unauthorized, ForbiddenOrigin, Revoked):
                return None
            if stale:
                await answer.write(frames.fresh(since))
            return identity

    async def _refuse(self, answer: "_Answer", reason: str, retry_ms: int) -> None:
        self._metrics.refused(reason)
        await answer.write(frames.opening(retry_ms))
        await answer.finish()


class _Answer:
    """What goes back to the page; begins by itself."""

    __slots__ = ("_begun", "_headers", "_send", "_take")

    def __init__(self, scope: Scope, send: Send, cors: Sequence[tuple[bytes, bytes]]) -> None:
        self._send = send
        self._take: Take | None = scope.get("extensions", {}).get(HANDOVER, {}).get("take")
        self._headers = [*STREAM_HEADERS, *cors]
        self._begun = False

    def hand_over(self, receiver: HandedOver) -> bool:
        """Begin, and leave the rest to whoever receives the connection; False where the server cannot."""
        return not self._begun and self._take is not None and self._take(self._headers, receiver)

    async def write(self, chunk: bytes) -> None:
        """Send whole frames."""
        if not self._begun:
            self._begun = True
            await self._send({"type": "http.response.start", "status": 200, "headers": self._headers})
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def finish(self) -> None:
        """End the answer in order."""
        if self._begun:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _start_of(wanted: StreamRequest) -> StreamStart:
    if wanted.reset is not None:
        return StreamStart(after=_UNPARSABLE)
    if wanted.cursor is not None:
        return StreamStart(after=str(wanted.cursor))
    return StreamStart(last=wanted.last or 0)
