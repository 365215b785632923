"""A position in a target's stream: on the wire the SSE `id`, `<epoch>.<stream id>` (DELIVERY.md 5.1)."""

import re
from typing import NamedTuple, Self

from .errors import EventBridgeError

_NUMBER = r"(0|[1-9][0-9]{0,19})"
_STREAM_ID = re.compile(rf"{_NUMBER}-{_NUMBER}", re.ASCII)
_EPOCH = re.compile(r"[0-9a-z]{8}", re.ASCII)
_LARGEST = 2**64 - 1


class InvalidPosition(EventBridgeError, ValueError):
    """A text that is no position; the text itself is not repeated, since it may be long or hostile."""


class StreamId(NamedTuple):
    """An entry's id in its stream; ids of one stream compare as their entries follow each other."""

    ms: int
    """Milliseconds of the server's clock, 0 to 2⁶⁴ - 1."""
    sequence: int
    """Among the entries of one millisecond, 0 to 2⁶⁴ - 1."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `<ms>-<sequence>`, canonical decimals only. Raises `InvalidPosition`."""
        match = _STREAM_ID.fullmatch(text)
        if match is None:
            raise InvalidPosition(
                "a stream id is <milliseconds>-<sequence>, in decimal without leading zeros"
            )
        ms, sequence = int(match[1]), int(match[2])
        if ms > _LARGEST or sequence > _LARGEST:
            raise InvalidPosition("a stream id's numbers are below 2^64")
        return cls(ms, sequence)

    def before(self) -> Self:
        """The id just below; `0-0`, which no entry has, is below everything and stays."""
        if self.sequence > 0:
            return type(self)(self.ms, self.sequence - 1)
        return type(self)(self.ms - 1, _LARGEST) if self.ms > 0 else self

    def __str__(self) -> str:
        return f"{self.ms}-{self.sequence}"


START = StreamId(0, 0)
"""Before the first entry: what the first entry's `prev` says."""


class Position(NamedTuple):
    """A point in a stream, valid under the epoch in which it was given out.

    Positions of different epochs do not compare: `DELIVERY.md` 5.2 says what can be proved across them.
    """

    epoch: str
    id: StreamId

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `<epoch>.<stream id>`; exactly what `str` writes, nothing else. Raises `InvalidPosition`."""
        epoch, _, stream_id = text.partition(".")
        if not is_epoch(epoch):
            raise InvalidPosition("a position begins with an epoch: 8 characters of 0-9 and a-z, then a dot")
        return cls(epoch, StreamId.parse(stream_id))

    def __str__(self) -> str:
        return f"{self.epoch}.{self.id}"


def is_epoch(text: str) -> bool:
    """Whether the text could be a shard's epoch."""
    return _EPOCH.fullmatch(text) is not None
