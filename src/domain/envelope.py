"""The domain event as it lies on the topic, decoded and validated: the fast way for those that are right.

What the fast way does not accept, the walk over the rules (``envelope_rules``) judges; an envelope that
the fast way accepts breaks no rule.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Raw

from .identifiers import canonical_uuids

MAX_TRACE_ID_LENGTH: Final = 128
"""The longest ``metadata.trace_id``, in characters; with it every field of a message is bounded."""

_NOTHING: Final = (b"", b"null")
# The part of ISO 8601 that RFC 3339 and the Date of ECMAScript share, as shapes; ranges are checked after.
_SHAPE: Final = bytes(
    ord("0") if chr(code) in "0123456789" else ord("+") if chr(code) in "+-" else code for code in range(256)
)
_INSTANTS: Final = frozenset(
    f"0000+00+00T00:00{seconds}{zone}".encode()
    for seconds in ("", ":00", *(":00." + "0" * decimals for decimals in range(1, 10)))
    for zone in ("Z", "+00:00")
)


class Event(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A decoded, validated envelope, with what the mapping to a message needs.

    Ids are UUIDs in lower case; ``timestamp`` is as sent, ISO 8601 with an offset from UTC. ``content``
    is the payload's ``content`` as JSON without line breaks; where the payload has none it is None, and
    ``payload`` holds the payload's members as JSON without line breaks.
    """

    event_id: str
    event_type: str
    session_id: str
    user_id: str
    correlation_id: str
    timestamp: str
    novel_id: str | None = None
    trace_id: str | None = None
    content: bytes | None = None
    payload: Mapping[str, Raw] | None = None


class _Metadata(msgspec.Struct, frozen=True, gc=False):
    trace_id: Annotated[str, msgspec.Meta(max_length=MAX_TRACE_ID_LENGTH)] | None = None


class Head(msgspec.Struct, frozen=True, gc=False):
    """The envelope's own fields, read in one pass; the payload is syntax-checked and left as it is."""

    event_type: str
    event_id: str
    aggregate_id: str
    payload: Raw
    correlation_id: str | None = None
    metadata: _Metadata | None = None
    created_at: Raw = Raw()


class _Payload(msgspec.Struct, frozen=True, gc=False):
    user_id: str
    session_id: str | None = None
    timestamp: str | None = None
    novel_id: str | None = None
    content: Raw = Raw()


read_head: Final = msgspec.json.Decoder(Head).decode
_read_payload: Final = msgspec.json.Decoder(_Payload).decode
_read_text: Final = msgspec.json.Decoder(str).decode
_read_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode


def accept(head: Head, correlation_header: bytes | None) -> Event | None:
    """Return the event where every field is right, None where one is not or a second look is needed.

    ``correlation_header`` is the value of Kafka's header, used where the body has no ``correlation_id``.
    Raises ValueError or RecursionError where the payload is not as expected.
    """
    payload = _read_payload(head.payload)
    correlation_id = head.correlation_id
    if correlation_id is None:
        if correlation_header is None:
            return None
        correlation_id = correlation_header.decode("ascii")
    session_id = payload.session_id
    if session_id is None:
        session_id = head.aggregate_id
    novel_id = payload.novel_id
    ids = canonical_uuids(
        [head.event_id, head.aggregate_id, correlation_id, payload.user_id, session_id]
        if novel_id is None
        else [head.event_id, head.aggregate_id, correlation_id, payload.user_id, session_id, novel_id]
    )
    timestamp = payload.timestamp
    if timestamp is None:
        timestamp = _read_text(head.created_at)
    if ids is None or not is_instant(timestamp):
        return None
    content, members = shown(head.payload, payload.content)
    return Event(
        event_id=ids[0],
        event_type=head.event_type,
        session_id=ids[4],
        user_id=ids[3],
        correlation_id=ids[2],
        timestamp=timestamp,
        novel_id=None if novel_id is None else ids[5],
        trace_id=None if head.metadata is None else head.metadata.trace_id,
        content=content,
        payload=members,
    )


def is_instant(text: str) -> bool:
    """Tell whether a text is a time of ISO 8601 with an offset from UTC.

    That is date, ``T``, hours and minutes, then seconds and up to nine decimals where there are any,
    then ``Z`` or ``±hh:mm``: what the Date of a browser reads, too. Leap seconds are refused.
    """
    if text.encode("utf-8", "surrogatepass").translate(_SHAPE) not in _INSTANTS or text[11:13] > "23":
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def shown(payload: Raw, content: Raw) -> tuple[bytes | None, Mapping[str, Raw] | None]:
    """Return the content as one line of JSON; where it is absent or null, the payload's members instead.

    Numbers and strings stay as the producer wrote them. Raises ValueError or RecursionError where the
    payload is no JSON object.
    """
    encoded = bytes(content)
    absent = encoded in _NOTHING
    if absent:
        encoded = bytes(payload)
    # In JSON a line break can only be white space, never a part of a string.
    if b"\n" in encoded or b"\r" in encoded:
        encoded = msgspec.json.format(encoded, indent=-1)
    return (None, _read_members(encoded)) if absent else (encoded, None)
