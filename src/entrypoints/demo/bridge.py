"""The demo's bridge, a process of its own so that it can really be killed. Run as a program.

Tells its numbers and warnings on standard output, a JSON object a line. SIGTERM stops it in good order; the
end of standard input, which comes with the end of the demo however it ends, stops it at once.
"""

import asyncio
import contextlib
import os
import sys
import threading
from pathlib import Path

import msgspec

from ..daemon import Daemon
from ..process import run_process
from ..stop_signals import StopSignals
from .bridge_numbers import BridgeNumbers, Told
from .notes_from_log import log_into
from .wiring import bridge_parts, demo_settings

STOP_SECONDS = 10.0

_TELL_SECONDS = 0.1


def main(kafka: str, redis_url: str, log_file: Path) -> int:
    """Run until stopped; answers the exit code."""
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    with log_into(log_file, lambda note: _tell(Told(note=note))):
        return run_process(lambda: _carry(kafka, redis_url))


async def _carry(kafka: str, redis_url: str) -> bool:
    numbers = BridgeNumbers()
    bridge = Daemon(bridge_parts(demo_settings(kafka, redis_url), numbers), stop_seconds=STOP_SECONDS)
    telling = asyncio.create_task(_tell_forever(numbers))
    try:
        with StopSignals(STOP_SECONDS) as signals:
            finished = await bridge.run(signals.wait())
            signals.disarm()
    finally:
        telling.cancel()
        _tell(Told(numbers))
    return finished


async def _tell_forever(numbers: BridgeNumbers) -> None:
    told = b""
    while True:
        if (now := msgspec.json.encode(numbers)) != told:
            told = now
            _tell(Told(numbers))
        await asyncio.sleep(_TELL_SECONDS)


def _tell(what: Told) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), msgspec.json.encode(what) + b"\n")


def _end_with_standard_input() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
