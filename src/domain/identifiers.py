"""UUIDs as text: the 8-4-4-4-12 form of RFC 9562, canonical in lower case."""

from typing import Final

_SHAPE: Final = bytes(
    ord("0") if chr(code) in "0123456789abcdef" else code if chr(code) in "- " else ord("x")
    for code in range(256)
)
_ONE: Final = b"00000000-0000-0000-0000-000000000000"
_SEVERAL: Final = tuple(b" ".join([_ONE] * count) for count in range(9))


def canonical_uuid(text: str) -> str | None:
    """Return the UUID in lower case, or None where the text is none.

    Only the 8-4-4-4-12 form counts, in either case: no braces, no ``urn:uuid:``, no bare 32 digits.
    """
    if len(text) != len(_ONE):
        return None
    lowered = text.encode("utf-8", "surrogatepass").lower()
    return lowered.decode("ascii") if lowered.translate(_SHAPE) == _ONE else None


def canonical_uuids(texts: list[str]) -> list[str] | None:
    """Return up to eight UUIDs in lower case, or None where at least one of the texts is none.

    One comparison serves all of them: the texts are joined by spaces and mapped to their shape, which
    has exactly one space between two UUIDs, so a space inside a text cannot make up for a missing one.
    """
    joined = " ".join(texts).encode("utf-8", "surrogatepass")
    expected = _SEVERAL[len(texts)]
    if joined.translate(_SHAPE) == expected:
        return texts
    lowered = joined.lower()
    return lowered.decode("ascii").split(" ") if lowered.translate(_SHAPE) == expected else None
