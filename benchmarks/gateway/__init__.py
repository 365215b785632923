"""What the gateway costs, beside a server that does nothing but write: `make bench ARGS="--gateway"`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence

from benchmarks.gateway.crowds import comeback, opening
from benchmarks.gateway.deliveries import fan_out, singles
from benchmarks.gateway.idle import idle
from benchmarks.gateway.report import GatewayResult

MEASURES = ("idle", "fanout", "singles", "opening", "comeback")
ROUNDS = 3


def selected(names: str) -> Sequence[str]:
    """Return the measures that a list names. Raises `argparse.ArgumentTypeError`."""
    chosen = names.split(",")
    if unknown := set(chosen).difference(MEASURES):
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: there are {', '.join(MEASURES)}")
    return chosen


def measure(
    chosen: Sequence[str], rounds: int, say: Callable[[str], None]
) -> Iterator[tuple[str, GatewayResult]]:
    """Yield each result when it is there. Raises `RunFailed` where clients did not get what they must."""
    if "idle" in chosen:
        yield "gateway_idle", idle(say)
    if "fanout" in chosen:
        yield "gateway_fanout", fan_out(rounds, say)
    if "singles" in chosen:
        for found in singles(rounds, say):
            yield f"gateway_singles_{found.rate}", found
    if "opening" in chosen:
        yield "gateway_opening", opening(say)
    if "comeback" in chosen:
        yield "gateway_comeback", comeback(say)
