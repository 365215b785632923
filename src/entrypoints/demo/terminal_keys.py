"""Single keys from the terminal, while everything else goes on."""

import asyncio
import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator


def keys_can_be_read() -> bool:
    """Whether standard input is a terminal that we are in the foreground of."""
    if sys.stdin is None or not sys.stdin.isatty():
        return False
    with contextlib.suppress(OSError):
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    return False


@contextlib.contextmanager
def keys(pressed: Callable[[str], None]) -> Iterator[bool]:
    """Call back for each key, unseen and without Enter; answers whether there is a keyboard.

    Ctrl-C and Ctrl-Z stay what they are. The terminal is as before when the block ends.
    """
    if not keys_can_be_read():
        yield False
        return
    loop, keyboard = asyncio.get_running_loop(), sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)

    def read() -> None:
        typed = os.read(keyboard, 64)
        if not typed:
            loop.remove_reader(keyboard)
        for key in typed.decode(errors="ignore"):
            pressed(key)

    def take() -> None:
        tty.setcbreak(keyboard, termios.TCSADRAIN)

    take()
    loop.add_reader(keyboard, read)
    loop.add_signal_handler(signal.SIGCONT, take)  # the shell has changed it while we were stopped
    try:
        yield True
    finally:
        loop.remove_signal_handler(signal.SIGCONT)
        loop.remove_reader(keyboard)
        with contextlib.suppress(termios.error):
            termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
