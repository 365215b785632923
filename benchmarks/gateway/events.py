"""The events that are sent: each carries when it was published and its number among its user's."""

from __future__ import annotations

import random
import uuid
from array import array
from collections.abc import Sequence

EVENT_TYPE = "Genesis.Session.Theme.Proposed"
DATA_BYTES = 800
"""As much as a page gets of an envelope of 1.1 KB."""

_OK = b"HTTP/1.1 200 "
_MARK = b'\ndata: {"at":"'
_AT, _NUMBER = slice(0, 19), slice(26, 35)
_FILLING = b"x" * (DATA_BYTES - len('{"at":"","n":"","text":""}') - 19 - 9)
_SEED = 20_261_126


class WrongStream(Exception):
    """A client did not get exactly its events, in order, each once."""


def users(count: int) -> Sequence[str]:
    """Return the first users, always the same ones."""
    chance = random.Random(_SEED)  # noqa: S311 - wanted: the same users each time
    return [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(count)]


def data(at_ns: int, number: int) -> bytes:
    """Return the data of a user's event `number`, published at this moment of `time.monotonic_ns`."""
    return b'{"at":"%019d","n":"%09d","text":"%b"}' % (at_ns, number, _FILLING)


class Reading:
    """What one client has read. Reads as little of it as finds stamps and mistakes."""

    __slots__ = ("_rest", "begun", "number", "position")

    def __init__(self, number: int = 0, position: str = "") -> None:
        self._rest = b""
        self.begun = False
        """Whether the stream's first block is there."""
        self.number = number
        """Of the last event."""
        self.position = position
        """What the client would come back with, as of the last whole block."""

    def take(self, chunk: bytes, now_ns: int, times: array[int]) -> None:
        """Take bytes that were read at a moment; adds (published at, age), in ns, for each event.

        The body may be chunked, as long as no chunk ends within a block. Raises `WrongStream`.
        """
        if self._rest:
            chunk = self._rest + chunk
        if not self.begun and not _OK.startswith(chunk[: len(_OK)]):
            raise WrongStream(f"the answer begins with {chunk[:200]!r}")
        whole = chunk.rfind(b"\n\n") + 2
        if whole == 1:
            self._rest = chunk
            return
        self.begun = True
        at = chunk.find(_MARK)
        while -1 < at < whole:
            at += len(_MARK)
            stamps = chunk[at : at + 35]
            number = int(stamps[_NUMBER])
            if number != self.number + 1:
                raise WrongStream(f"event {number} came after {self.number}")
            self.number = number
            published = int(stamps[_AT])
            times.append(published)
            times.append(now_ns - published)
            at = chunk.find(_MARK, at + DATA_BYTES - len(_MARK))
        position = chunk.rfind(b"id: ", 0, whole)
        if position >= 0:
            self.position = chunk[position + 4 : chunk.index(b"\n", position)].decode()
        if b"event: reset" in chunk:
            raise WrongStream("an `event: reset`")
        rest = chunk[whole:]
        self._rest = b"" if rest == b"\r\n" else rest
