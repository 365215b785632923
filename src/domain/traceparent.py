"""The W3C `traceparent` header: is it well-formed, and did its sender sample the trace?

Source: W3C Trace Context level 1, 3.2 (format) and 4.3 (versions to come). A header that breaks the
grammar counts as absent: it must cost the record nothing.
"""

import re

_LENGTH = 55
"""`00-` + 32 + `-` + 16 + `-` + 2 characters."""

_ODD_DIGITS = b"13579bdf"
"""Last digits of flags whose lowest bit, *sampled*, is set."""

_GRAMMAR = re.compile(
    rb"(?P<version>(?!ff)[0-9a-f]{2})"
    rb"-(?P<ids>(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16})"
    rb"-[0-9a-f]{2}"
)


def valid(header: bytes | None) -> str | None:
    """The header as text, if it is well-formed, else None.

    Of a version above 00 only the part known to us is kept, written as version 00; so the answer has
    always 55 characters, however long the header is.
    """
    if header is None or len(header) < _LENGTH:
        return None
    match = _GRAMMAR.match(header)
    if match is None:
        return None
    if header.startswith(b"00"):
        return header.decode("ascii") if len(header) == _LENGTH else None
    if header[_LENGTH : _LENGTH + 1] not in (b"", b"-"):
        return None
    flags = "01" if _has_sampled_bit(header) else "00"
    return f"00-{match['ids'].decode('ascii')}-{flags}"


def sampled(header: bytes | None) -> str | None:
    """The header as text (see `valid`), if it is well-formed and its sender sampled the trace, else None."""
    if header is None or len(header) < _LENGTH or not _has_sampled_bit(header):
        return None
    return valid(header)


def _has_sampled_bit(header: bytes) -> bool:
    return header[_LENGTH - 1] in _ODD_DIGITS
