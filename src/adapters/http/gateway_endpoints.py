"""The gateway's short answers: where a stream is, a one-time ticket, and whether the process serves."""

from collections.abc import Callable, Mapping

import msgspec
from starlette.types import Receive, Scope, Send

from ...application.gateway_ports import EventFeed, Identity, Tickets
from ...domain.continuity import fresh_start
from ...domain.credentials import TICKET_SECONDS
from ...domain.origins import Origins
from ...domain.request_parts import parse_query
from ...domain.routing import user
from .gateway_requests import Identities
from .whole_answers import send_body, send_json


class StreamEnd:
    """Where a user's stream ends now: the position for a page that is being rendered."""

    def __init__(self, feed: EventFeed) -> None:
        self._feed = feed

    async def of(self, identity: Identity) -> str:
        """The position. Raises `SinkUnavailable`, `SinkMisconfigured`."""
        page = await self._feed.read_last(user(identity.user_id), 1)
        return str(fresh_start(page.view))


class PositionEndpoint:
    """`GET /position`."""

    def __init__(self, identities: Identities, origins: Origins, end: StreamEnd) -> None:
        self._identities = identities
        self._origins = origins
        self._end = end

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer where the stream of whoever asks ends."""
        headers = scope["headers"]
        identity = await self._identities.identify(headers, parse_query(scope["query_string"]))
        position = await self._end.of(identity)
        await send_json(send, 200, {"position": position}, self._origins.cors(headers))


class TicketEndpoint:
    """`POST /ticket`: for a page whose `EventSource` can send neither header nor cookie."""

    def __init__(self, identities: Identities, origins: Origins, end: StreamEnd, tickets: Tickets) -> None:
        self._identities = identities
        self._origins = origins
        self._end = end
        self._tickets = tickets

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer with a ticket, and with where the stream ends: nothing is missed until it is used."""
        headers = scope["headers"]
        identity = await self._identities.identify(headers, parse_query(scope["query_string"]))
        position = await self._end.of(identity)
        ticket = await self._tickets.issue(identity.user_id, identity.expires_at, identity.token_id)
        answer = {"ticket": ticket, "expires_in": TICKET_SECONDS, "position": position}
        await send_json(send, 200, answer, self._origins.cors(headers))


class HealthEndpoint:
    """`GET /health/live` and `/health/ready`, without reasons: those are for operators, on the other port."""

    def __init__(self, name: str, good: Callable[[], bool]) -> None:
        """`name` is `live` or `ready`."""
        self._name = name
        self._good = good

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer 200 or 503."""
        good = self._good()
        await send_json(send, 200 if good else 503, {self._name: good}, ())


class DocumentEndpoint:
    """The OpenAPI document: it says where it is mounted, and never changes else."""

    def __init__(self, document: Mapping[str, object]) -> None:
        self._document = document

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer with it; it is public."""
        mounted = scope.get("root_path") or "/"
        body = msgspec.json.encode({**self._document, "servers": [{"url": mounted}]})
        await send_body(send, 200, "application/json", body, [(b"access-control-allow-origin", b"*")])
