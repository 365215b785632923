"""What a page asks for: where its stream is to begin, and in which form it wants events."""

import re
from typing import Final

import msgspec

from .continuity import ResetReason
from .identifiers import canonical_uuid
from .position import InvalidPosition, Position
from .problem import BadRequest
from .request_parts import Headers, Query, header_values, one_value

MAX_CURSOR_BYTES: Final = 128
"""A position has at most 50 bytes; what is longer than this is not even looked at."""

_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)


class StreamRequest(msgspec.Struct, frozen=True):
    """Where to begin, and in which form. One of `cursor`, `reset` and `last` is set, or none: at the end."""

    cursor: Position | None = None
    """The last event the page has seen."""
    reset: ResetReason | None = None
    """A cursor was sent that is none: the page is told so, and gets what is kept."""
    last: int | None = None
    """Begin this many entries back."""
    as_message: bool = False
    """Leave the `event:` line out, so that `onmessage` gets every event."""
    user_id: str | None = None
    """Whom the page says it is, where nobody checks (`AUTH=none`)."""


def stream_request(
    headers: Headers, query: Query, *, replay_limit: int, names_user: bool = False
) -> StreamRequest:
    """Read what `GET /events` asks for. Raises `BadRequest`.

    `Last-Event-ID` comes with a reconnect, so it is newer than anything in the URL, and wins. The URL is
    judged all the same: what is wrong must show on the first connect, not be hidden by the second.
    `names_user`: `?user=` says who the page is, and must be there; else it must not be.
    Unknown parameters are passed over.
    """
    in_url = one_value(query, "last_event_id") or None
    last = _last(query, replay_limit)
    if in_url is not None and last is not None:
        raise BadRequest("Give either `last_event_id` or `last`, not both.", "last")
    as_message = _as_message(query)
    user_id = _user(query, expected=names_user)
    in_header = [value for value in header_values(headers, b"last-event-id") if value]
    if in_header:
        last = None
        cursor, reset = _cursor(in_header[0]) if len(in_header) == 1 else (None, ResetReason.INVALID)
    else:
        cursor, reset = _cursor(in_url.encode("utf-8", "surrogatepass")) if in_url else (None, None)
    return StreamRequest(cursor, reset, last, as_message, user_id)


def _cursor(text: bytes) -> tuple[Position | None, ResetReason | None]:
    if len(text) > MAX_CURSOR_BYTES or not text.isascii():
        return None, ResetReason.INVALID
    try:
        return Position.parse(text.decode("ascii")), None
    except InvalidPosition:
        return None, ResetReason.INVALID


def _last(query: Query, replay_limit: int) -> int | None:
    text = one_value(query, "last")
    if text is None:
        return None
    if _NUMBER.fullmatch(text) is None or int(text) > replay_limit:
        raise BadRequest(f"`last` must be a whole number from 0 to {replay_limit}.", "last")
    return int(text)


def _as_message(query: Query) -> bool:
    text = one_value(query, "event")
    if text not in (None, "message"):
        raise BadRequest("`event` can only be `message`.", "event")
    return text is not None


def _user(query: Query, *, expected: bool) -> str | None:
    text = one_value(query, "user")
    if not expected:
        if text is not None:
            raise BadRequest("`user` is not accepted here: the user comes from the token.", "user")
        return None
    user_id = canonical_uuid(text) if text is not None else None
    if user_id is None:
        raise BadRequest("`user` must be the user's id, a UUID.", "user")
    return user_id
