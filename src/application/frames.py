"""What a page gets, as bytes: whole frames of text/event-stream, made by `domain.wire_format`."""

from collections.abc import Sequence
from typing import Final

import msgspec

from ..domain import wire_format
from ..domain.continuity import ResetReason
from ..domain.message import SSEMessage
from ..domain.position import Position
from ..domain.wire_format import WireFormatError, comment, cursor, encode

Shown = tuple[str, str, str]
"""What a page sees of an entry: its id in the stream, its event, its data."""

BEAT: Final = comment("hb")
"""A comment that keeps proxies and pages from giving up."""


def opening(retry_ms: int) -> bytes:
    """Return the first bytes: they let headers through buffers, and say when to come back."""
    return comment("ok") + retry(retry_ms)


def retry(milliseconds: int) -> bytes:
    """Return how long the page is to wait before it connects again."""
    return b"retry: %d\n\n" % milliseconds


def entries(epoch: str, found: Sequence[Shown], *, named: bool) -> bytes:
    """Return entries in one piece; without `named` they carry no `event:` line (pages: `message`).

    Nor does one whose name could forge lines: only a service that publishes by itself may have given it.
    """
    if len(found) == 1:
        identity, event, data = found[0]
        try:
            return wire_format.entry(epoch, identity, event if named else "", data)
        except WireFormatError:
            return wire_format.entry(epoch, identity, "", data)
    try:
        return b"".join(
            [
                wire_format.entry(epoch, identity, event if named else "", data)
                for identity, event, data in found
            ]
        )
    except WireFormatError:
        return b"".join([entries(epoch, (one,), named=named) for one in found])


def position(at: Position) -> bytes:
    """Return a bare `id:`, which moves the page's cursor and fires nothing."""
    return cursor(str(at))


def reset(reason: ResetReason, at: Position) -> bytes:
    """Return `event: reset`: something may be missing, the stream goes on after `at`."""
    data = msgspec.json.encode({"reason": reason.value, "position": str(at)})
    return encode(SSEMessage(event="reset", data=data, id=str(at)))


def stale(since_ms: int) -> bytes:
    """Return `event: stale`: since then (ms since the epoch) the store has not been reached."""
    return encode(SSEMessage(event="stale", data=msgspec.json.encode({"since": since_ms})))


def fresh(since_ms: int) -> bytes:
    """Return `event: fresh`: what had been stale since then is up to date again."""
    return encode(SSEMessage(event="fresh", data=msgspec.json.encode({"since": since_ms})))
