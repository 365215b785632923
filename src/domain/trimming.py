"""Stage 3, the mapping: what of an event a page gets to see."""

from typing import Final

import msgspec

from .envelope import Event
from .message import SSEMessage
from .routing import EventScope

MAX_OVERHEAD_BYTES: Final = 2048
"""What a message without its payload stays below, since each of its fields is bounded: no limit on
messages can be smaller."""

_CARRIED_ELSEWHERE: Final = frozenset({"user_id", "session_id", "timestamp", "novel_id", "content"})
_INTERNAL: Final = "internal_"
_END: Final = f',"_scope":"{EventScope.USER.value}","_version":"1.0"}}'.encode()

_encode: Final = msgspec.json.Encoder().encode


def to_message(event: Event, *, max_bytes: int = 65536) -> SSEMessage:
    """Return the message that shows an event to its user, with `shown_data`; it has no id yet, the stream
    gives it."""
    return SSEMessage(event=event.event_type, data=shown_data(event, max_bytes))


def shown_data(event: Event, max_bytes: int) -> bytes:
    """Return what a page gets to see of an event, as JSON.

    The payload is the event's content, else the payload's other members but for those whose name
    begins with ``internal_``; where nothing is left there is no ``payload``. Data that would be larger
    than ``max_bytes`` is without, and ``payload_omitted`` tells its size.
    """
    # Filled in rather than encoded, at half the cost: of all these only the trace id may need escapes.
    novel = "" if event.novel_id is None else f'"novel_id":"{event.novel_id}",'
    trace = "" if event.trace_id is None else f'"trace_id":{_encode(event.trace_id).decode()},'
    head = (
        f'{{"event_id":"{event.event_id}","event_type":"{event.event_type}","session_id":"{event.session_id}",'
        f'{novel}"correlation_id":"{event.correlation_id}",{trace}"timestamp":"{event.timestamp}"'
    ).encode()
    payload = event.content
    if payload is None:
        payload = _what_is_left(event)
        if payload is None:
            return head + _END
    data = b'%b,"payload":%b%b' % (head, payload, _END)
    if len(data) > max_bytes:
        return b'%b,"payload_omitted":{"bytes":%d}%b' % (head, len(payload), _END)
    return data


def _what_is_left(event: Event) -> bytes | None:
    left = {
        name: raw
        for name, raw in (event.payload or {}).items()
        if name not in _CARRIED_ELSEWHERE and not name.startswith(_INTERNAL)
    }
    return _encode(left) if left else None
