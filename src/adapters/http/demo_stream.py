"""What the demo's page asks about its user's stream beside the stream itself, and does to it."""

from collections.abc import Callable
from typing import Final

from starlette.types import Receive, Scope, Send

from ...application.gateway_ports import EventFeed
from ...domain.position import InvalidPosition, StreamId
from ...domain.problem import BadRequest
from ...domain.request_parts import one_value, parse_query
from ...domain.routing import user
from .gateway_requests import Identities
from .whole_answers import send_json

MOST_TIMES: Final = 500
"""Entries that one answer of `/demo/times` tells of."""


class TimesEndpoint:
    """`GET /demo/times`: Kafka's timestamps of the user's entries from the id `?from=` on.

    They lie in the entries, and pages are not sent them: the page counts an event's age from there.
    """

    def __init__(self, identities: Identities, feed: EventFeed) -> None:
        self._identities = identities
        self._feed = feed

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer with `{"times": {id: ms or null}}`."""
        query = parse_query(scope["query_string"])
        identity = await self._identities.identify(scope["headers"], query)
        try:
            first = StreamId.parse(one_value(query, "from") or "")
        except InvalidPosition as error:
            raise BadRequest(f"`from`: {error}.", "from") from None
        page = await self._feed.read(user(identity.user_id), first.before(), MOST_TIMES)
        times = {str(entry.id): entry.timestamp for entry in page.entries}
        await send_json(send, 200, {"times": times}, ())


class CutEndpoint:
    """`POST /demo/cut`: the server drops every connection of the user's pages, without a word to them."""

    def __init__(self, identities: Identities, cut: Callable[[str], int]) -> None:
        """`cut` answers how many there were."""
        self._identities = identities
        self._cut = cut

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer with `{"cut": n}`."""
        identity = await self._identities.identify(scope["headers"], parse_query(scope["query_string"]))
        await send_json(send, 200, {"cut": self._cut(identity.user_id)}, ())
