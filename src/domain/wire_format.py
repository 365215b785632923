"""Messages as bytes on the wire: text/event-stream of the HTML standard, section 9.2."""

import re
from functools import lru_cache
from typing import Final

from .errors import EventBridgeError
from .message import SSEMessage

_FORBIDDEN: Final = re.compile("[\r\n\0]")
_LINE_BREAK: Final = re.compile(b"\r\n|\r|\n")
_TEXT_LINE_BREAK: Final = re.compile("\r\n|\r|\n")


class WireFormatError(EventBridgeError, ValueError):
    """A message that has no form on the wire; the text names the field and the rule."""


def encode(message: SSEMessage) -> bytes:
    r"""Return the message as one block of lines, closed by an empty line.

    The data is split at CRLF, CR and LF, one ``data:`` line each; a page gets the lines back joined
    by LF. The one space behind each colon is the one that a parser takes away, so leading spaces of a
    value stay. An empty ``event`` writes no ``event:`` line, which a page sees as ``message``.

    Raises WireFormatError where ``event`` or ``id`` holds CR, LF or NUL (the first two would begin
    another field, the third makes browsers ignore the id) or no Unicode text, or ``retry`` is negative.
    """
    identity = "" if message.id is None else f"id: {_line('id', message.id)}\n"
    retry = "" if message.retry is None else f"retry: {_retry(message.retry)}\n"
    head = f"{_event(message.event)}{identity}{retry}".encode()
    return b"%bdata: %b\n\n" % (head, _lines(message.data))


def entry(epoch: str, identity: str, event: str, data: str) -> bytes:
    """Return what ``encode`` makes of an event at that position of its stream, in a fraction of the time.

    The identity is a stream's id as its store writes it, or as ``str(StreamId)`` does, and is not looked at.
    Raises WireFormatError under the same rules, and UnicodeEncodeError where the data is no Unicode text.
    """
    if "\n" in data or "\r" in data:
        data = "\ndata: ".join(_TEXT_LINE_BREAK.split(data))
    return f"{_event(event)}id: {_epoch(epoch)}.{identity}\ndata: {data}\n\n".encode()


def cursor(position: str) -> bytes:
    """Return a bare ``id:`` block: it moves the page's cursor and fires no event.

    Raises WireFormatError under the same rules as ``encode``.
    """
    return f"id: {_line('id', position)}\n\n".encode()


def comment(text: str = "") -> bytes:
    """Return a comment, which parsers skip: what heartbeats are made of.

    Line breaks in the text begin further comment lines. Raises WireFormatError where the text is no
    Unicode text.
    """
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise WireFormatError(f"a comment must be Unicode text, got {text[:80]!a}") from error
    return b"".join(b": " + line + b"\n" for line in _LINE_BREAK.split(encoded)) + b"\n"


@lru_cache(1024)
def _event(event: str) -> str:
    return f"event: {_line('event', event)}\n" if event else ""


@lru_cache(1024)
def _epoch(epoch: str) -> str:
    return _line("id", epoch)


def _lines(data: bytes) -> bytes:
    if b"\n" in data or b"\r" in data:
        return b"\ndata: ".join(_LINE_BREAK.split(data))
    return data


def _line(field: str, value: str) -> str:
    if _FORBIDDEN.search(value) is not None:
        raise WireFormatError(f"`{field}` must not contain CR, LF or NUL, got {value[:80]!a}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise WireFormatError(f"`{field}` must be Unicode text, got {value[:80]!a}") from error
    return value


def _retry(milliseconds: int) -> int:
    if milliseconds < 0:
        raise WireFormatError(f"`retry` must not be negative, got {milliseconds}")
    return milliseconds
