"""SIGTERM and SIGINT: the first one asks to stop, the second one stops at once."""

import asyncio
import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Self

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """While it is entered, the process's signals to stop; `wait` returns at the first one.

    A second signal, or `limit_seconds` after the first one, ends the process with exit code 1, whatever it
    is doing: even a thread that hangs in a system call cannot keep it. What was in flight is repeated by
    the next start, and filtered.
    """

    def __init__(self, limit_seconds: float) -> None:
        self._limit_seconds = limit_seconds
        self._asked = asyncio.Event()
        self._deadline: threading.Timer | None = None

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._received)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep both: what follows, such as joining threads, is part of stopping."""

    async def wait(self) -> None:
        """Return once the process was asked to stop."""
        await self._asked.wait()

    def disarm(self) -> None:
        """The process is about to end by itself."""
        if self._deadline is not None:
            self._deadline.cancel()

    def _received(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            # From now on outside of the loop, so that a loop that is stuck cannot ignore it.
            loop.remove_signal_handler(number)
            signal.signal(number, _end_by_signal)
        self._deadline = threading.Timer(
            self._limit_seconds, _end, [f"not stopped within {self._limit_seconds:g} s: ended"]
        )
        self._deadline.daemon = True
        self._deadline.start()
        self._asked.set()


def _end_by_signal(_number: int, _frame: FrameType | None) -> None:
    _end("stopped at once by a second signal")


def _end(sentence: str) -> None:
    os.write(sys.stderr.fileno(), f"eventbridge: {sentence}\n".encode())
    os._exit(1)
