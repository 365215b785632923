"""Signals that belong to somebody else, such as the web server that we run in: heard, and passed on."""

import asyncio
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def overheard(signals: Iterable[signal.Signals], act: Callable[[], object]) -> Iterator[None]:
    """Call `act` in the running event loop at each of these signals, beside whatever they did before.

    For the main thread. `act` is called in the loop, so it may start tasks.
    """
    loop = asyncio.get_running_loop()
    former = {one: signal.getsignal(one) for one in signals}

    def hear(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(act)
        handler = former[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)
        elif handler == signal.SIG_DFL:
            signal.signal(number, handler)
            signal.raise_signal(number)

    for one in former:
        signal.signal(one, hear)
    try:
        yield
    finally:
        for one, handler in former.items():
            if signal.getsignal(one) is hear:
                signal.signal(one, handler)
