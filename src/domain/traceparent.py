"""The W3C `traceparent` header: is it well-formed, and did its sender sample the trace?

Source: W3C Trace Context level 1, 3.2 (format) and 4.3 (versions to come). A header that breaks the
grammar counts as absent: it must cost the record nothing.
"""

from typing import Final

_LENGTH: Final = 55
"""`00-` + 32 + `-` + 16 + `-` + 2 characters."""

_ODD_DIGITS: Final = b"13579bdf"
"""Last digits of flags whose lowest bit, *sampled*, is set."""

_SHAPE: Final = bytes(
    ord("0") if chr(code) in "0123456789abcdef" else code if chr(code) == "-" else ord("x")
    for code in range(256)
)
_FORM: Final = b"-".join(b"0" * digits for digits in (2, 32, 16, 2))
_NO_TRACE: Final = b"0" * 32
_NO_SPAN: Final = b"0" * 16


def valid(header: bytes | None) -> str | None:
    """The header as text, if it is well-formed, else None.

    Of a version above 00 only the part known to us is kept, written as version 00; so the answer has
    always 55 characters, however long the header is.
    """
    if header is None or len(header) < _LENGTH:
        return None
    known = header[:_LENGTH]
    if known.translate(_SHAPE) != _FORM or known[3:35] == _NO_TRACE or known[36:52] == _NO_SPAN:
        return None
    if known.startswith(b"00"):
        return known.decode("ascii") if len(header) == _LENGTH else None
    if known.startswith(b"ff") or header[_LENGTH : _LENGTH + 1] not in (b"", b"-"):
        return None
    return f"00-{known[3:52].decode('ascii')}-{'01' if _has_sampled_bit(header) else '00'}"


def sampled(header: bytes | None) -> str | None:
    """The header as text (see `valid`), if it is well-formed and its sender sampled the trace, else None."""
    if header is None or len(header) < _LENGTH or not _has_sampled_bit(header):
        return None
    return valid(header)


def _has_sampled_bit(header: bytes) -> bool:
    return header[_LENGTH - 1] in _ODD_DIGITS
