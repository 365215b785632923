"""Stage 3, the mapping: what of an event a page gets to see."""

from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from .envelope import Event
from .message import SSEMessage
from .routing import EventScope

MAX_OVERHEAD_BYTES: Final = 2048
"""What a message without its payload stays below, since each of its fields is bounded: no limit on
messages can be smaller."""

_CARRIED_ELSEWHERE: Final = frozenset({"user_id", "session_id", "timestamp", "novel_id", "content"})
_INTERNAL: Final = "internal_"


class _Omitted(msgspec.Struct, frozen=True, gc=False):
    """The size of a payload that was too large to be sent, in bytes."""

    bytes: int


class _Data(
    msgspec.Struct, frozen=True, gc=False, kw_only=True, rename={"scope": "_scope", "version": "_version"}
):
    """The JSON of a message; the order of the fields is the order of the keys."""

    event_id: str
    event_type: str
    session_id: str
    novel_id: str | UnsetType
    correlation_id: str
    trace_id: str | UnsetType
    timestamp: str
    payload: Raw | UnsetType = UNSET
    payload_omitted: _Omitted | UnsetType = UNSET
    scope: str = EventScope.USER.value
    version: str = "1.0"


_encode: Final = msgspec.json.Encoder().encode


def to_message(event: Event, *, max_bytes: int = 65536) -> SSEMessage:
    """Return the message that shows an event to its user; it has no id yet, the stream gives it.

    The payload is the event's content, else the payload's other members but for those whose name
    begins with ``internal_``; where nothing is left there is no ``payload``. A message whose data would
    be larger than ``max_bytes`` is sent without, and ``payload_omitted`` tells its size.
    """
    payload = event.content
    if payload is None:
        payload = _what_is_left(event)
    data = _encode(_data(event, UNSET if payload is None else Raw(payload), UNSET))
    if payload is not None and len(data) > max_bytes:
        data = _encode(_data(event, UNSET, _Omitted(len(payload))))
    return SSEMessage(event=event.event_type, data=data)


def _data(event: Event, payload: Raw | UnsetType, omitted: _Omitted | UnsetType) -> _Data:
    return _Data(
        event_id=event.event_id,
        event_type=event.event_type,
        session_id=event.session_id,
        novel_id=UNSET if event.novel_id is None else event.novel_id,
        correlation_id=event.correlation_id,
        trace_id=UNSET if event.trace_id is None else event.trace_id,
        timestamp=event.timestamp,
        payload=payload,
        payload_omitted=omitted,
    )


def _what_is_left(event: Event) -> bytes | None:
    left = {
        name: raw
        for name, raw in (event.payload or {}).items()
        if name not in _CARRIED_ELSEWHERE and not name.startswith(_INTERNAL)
    }
    return _encode(left) if left else None
