"""Which types of events users may see: dotted patterns over dotted names."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from .errors import EventBridgeError

DEFAULT_ALLOW: Final = (
    "Genesis.Session.Started",
    "Genesis.Session.**.Proposed",
    "Genesis.Session.**.Confirmed",
    "Genesis.Session.**.Updated",
    "Genesis.Session.StageCompleted",
    "Genesis.Session.Finished",
    "Genesis.Session.Failed",
)
"""The types that pages of the Genesis sessions show."""

MAX_EVENT_TYPE_LENGTH: Final = 255
"""The longest type that can be allowed, in characters: it stands in headers and in each message."""

_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9_-]")
_ONE: Final = "*"
_SOME: Final = "**"


class PatternError(EventBridgeError, ValueError):
    """A pattern that cannot be read.

    ``position`` counts characters from 0 and points into ``pattern``; ``pointer`` shows both as two
    lines with a caret.
    """

    def __init__(self, pattern: str, position: int, why: str) -> None:
        super().__init__(f"pattern `{pattern}`, character {position + 1}: {why}")
        self.pattern = pattern
        self.position = position
        self.why = why

    @property
    def pointer(self) -> str:
        """The pattern, and below it a caret at the place that is wrong."""
        return f"{self.pattern}\n{' ' * self.position}^"


class WhiteList:
    """Patterns, read once: ``*`` stands for one segment of a name, ``**`` for one or more.

    Raises PatternError for the first pattern that is empty, has an empty segment, a character that no
    name has, or a star that does not stand alone in its segment.
    """

    __slots__ = ("_patterns",)

    def __init__(self, patterns: Iterable[str] = DEFAULT_ALLOW) -> None:
        self._patterns = tuple(_segments(pattern) for pattern in patterns)

    def allows(self, event_type: str) -> bool:
        """Tell whether a pattern covers the whole type; an empty segment is covered by nothing.

        The time is bounded by the product of the lengths, whatever the patterns are.
        """
        if len(event_type) > MAX_EVENT_TYPE_LENGTH:
            return False
        names = event_type.split(".")
        return all(names) and any(_covers(pattern, names) for pattern in self._patterns)


def is_dotted_name(event_type: str) -> bool:
    """Tell whether a type is a dotted name: ASCII letters, digits, ``_`` and ``-`` between the dots.

    Such a name needs no escaping in JSON, in a header or in the lines of Server-Sent Events.
    """
    return len(event_type) <= MAX_EVENT_TYPE_LENGTH and _NAME.fullmatch(event_type) is not None


def _segments(pattern: str) -> tuple[str, ...]:
    start = 0
    segments = pattern.split(".")
    for segment in segments:
        if not segment:
            raise PatternError(pattern, start, "a segment must not be empty")
        wrong = _FOREIGN.search(segment)
        if wrong is not None and segment not in (_ONE, _SOME):
            raise PatternError(pattern, start + wrong.start(), _complaint(wrong.group()))
        start += len(segment) + 1
    return tuple(segments)


def _complaint(character: str) -> str:
    if character == _ONE:
        return "`*` and `**` must stand alone between dots"
    return f"a segment has letters, digits, `_` and `-` only, not {character!a}"


def _covers(pattern: Sequence[str], names: Sequence[str]) -> bool:
    # Every place in the pattern that the names read so far can lead to: no backtracking.
    places = {0}
    for name in names:
        following: set[int] = set()
        for place in places:
            if place == len(pattern):
                continue
            segment = pattern[place]
            if segment == _SOME:
                following |= {place, place + 1}
            elif segment in (_ONE, name):
                following.add(place + 1)
        places = following
    return len(pattern) in places
