"""Chooses the screen, runs the demo on it, and says at the end what came of it."""

import asyncio
import os
import sys

from rich.console import Console

from ..sample_events import sample_users
from .board import Board, pages_for
from .live_table import LiveTable
from .plain_lines import PlainLines
from .program import Demo, DemoOptions


def show_demo(options: DemoOptions) -> int:
    """Run to the end; answers the exit code: 1 if anything was missing, came twice or out of order."""
    return asyncio.run(_show(options))


async def _show(options: DemoOptions) -> int:
    board = Board(pages_for(sample_users(options.users, options.seed)))
    console = Console()
    screen = (
        LiveTable(board, console)
        if sys.stdout.isatty() and not console.is_dumb_terminal
        else PlainLines(sys.stdout, sys.stderr)
    )
    demo = Demo(options, board, screen)
    try:
        await demo.run()
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough; what is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        screen.close()
    sentence, as_promised = demo.verdict()
    sys.stdout.write(f"{sentence}\n")
    return 0 if as_promised else 1
