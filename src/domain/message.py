"""What a page receives: one message of a stream of Server-Sent Events."""

import msgspec

from .routing import EventScope

__all__ = ["EventScope", "SSEMessage"]


class SSEMessage(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One message for a page.

    ``event`` is its type and ``data`` the JSON exactly as it goes to the page; ``id`` is the position
    in the stream, which only the stream can give; ``retry`` is the pause before a reconnect in
    milliseconds. ``scope`` and ``version`` describe the data and stand in it as well.
    """

    event: str
    data: bytes
    id: str | None = None
    retry: int | None = None
    scope: EventScope = EventScope.USER
    version: str = "1.0"
