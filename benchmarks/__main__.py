"""Measures, prints a table and writes a JSON file; docs/benchmarks.md tells what the figures mean."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks import gateway
from benchmarks.latency import measure_latency
from benchmarks.procfs import machine
from benchmarks.report import Result, table
from benchmarks.soak import soak
from benchmarks.throughput import compare

RECORDS = 300_000
SOAK_RECORDS = 10_000_000
ROUNDS = 5
OUTPUT = Path(".cache/benchmark.json")


def main(arguments: Sequence[str]) -> int:
    """Measure what was asked for; the result is the exit code."""
    options = _parser().parse_args(arguments)
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - began:5.0f} s] {line}", file=sys.stderr, flush=True)

    found: dict[str, object] = {"at": datetime.now(UTC).isoformat(), "machine": machine()}
    lines, missed = [machine()], list[str]()
    for name, result in _measure(options, say):
        found[name] = result
        lines += ["", *table(result)]
        missed += result.missed()
    print(*lines, "", *([f"Missed: {each}" for each in missed] or ["All targets are met."]), sep="\n")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_bytes(msgspec.json.format(msgspec.json.encode(found | {"missed": missed})) + b"\n")
    return 1 if missed and options.check else 0


def _measure(options: argparse.Namespace, say: Callable[[str], None]) -> Iterator[tuple[str, Result]]:
    if options.gateway is not None:
        yield from gateway.measure(options.gateway, options.rounds or gateway.ROUNDS, say)
    elif options.soak:
        yield "soak", soak(options.records or SOAK_RECORDS, say)
    elif options.latency:
        yield "latency", measure_latency(options.rate, options.seconds, say)
    else:
        yield "throughput", compare(options.records or RECORDS, options.rounds or ROUNDS, say)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--latency", action="store_true", help="measure the latency instead of the rate")
    which.add_argument("--soak", action="store_true", help="watch the memory instead")
    which.add_argument(
        "--gateway",
        nargs="?",
        const=gateway.MEASURES,
        type=gateway.selected,
        metavar="MEASURE,…",
        help=f"measure the gateway instead: all of {','.join(gateway.MEASURES)}, or some",
    )
    parser.add_argument("--records", type=int, help=f"{RECORDS:,}, or with --soak {SOAK_RECORDS:,}")
    parser.add_argument(
        "--rounds", type=int, help=f"in turns: {ROUNDS} of each relay, {gateway.ROUNDS} of each server"
    )
    parser.add_argument("--rate", type=float, default=1000, help="records a second, with --latency")
    parser.add_argument("--seconds", type=int, default=60, help="for how long, with --latency")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the JSON file")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a target is missed")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
