"""The gateway's figures as tables for people."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from benchmarks.gateway.crowds import Comeback, Opening
from benchmarks.gateway.deliveries import Deliveries
from benchmarks.gateway.idle import Idle

GatewayResult = Idle | Deliveries | Opening | Comeback

_ROWS = (
    ("cpu_us", "CPU of the server, µs per delivery", "{:.1f}"),
    ("p50_ms", "from call to read, p50, ms", "{:.2f}"),
    ("p99_ms", "p99", "{:.2f}"),
    ("max_ms", "longest", "{:.1f}"),
    ("audience_cpu_us", "CPU of the clients, µs per delivery", "{:.1f}"),
    ("redis_cpu_us", "CPU of Redis, µs per event", "{:.1f}"),
    ("others_share", "noise: CPU used by others", "{:.0%}"),
    ("stolen_share", "noise: CPU taken by the host", "{:.0%}"),
)


def gateway_table(result: GatewayResult) -> Iterator[str]:
    """Yield the lines that show a result."""
    if isinstance(result, Deliveries):
        return _deliveries(result)
    if isinstance(result, Idle):
        return _idle(result)
    return _opening(result) if isinstance(result, Opening) else _comeback(result)


def _idle(result: Idle) -> Iterator[str]:
    yield f"{result.connections:,} idle connections, of as many users:"
    yield (
        f"  {result.kib_per_connection:.1f} KiB each (bare: {result.bare_kib_per_connection:.1f}), "
        f"{result.cpu_share:.1%} of a core for all of them"
    )


def _deliveries(result: Deliveries) -> Iterator[str]:
    yield f"{result.title}:"
    yield _row("median (lowest to highest)", ("gateway", "bare", "barest"))
    for name, title, shape in _ROWS:
        cells = []
        for rounds in (result.gateway, result.bare, result.barest):
            values = [getattr(each, name) for each in rounds]
            low, high = shape.format(min(values)), shape.format(max(values))
            cells.append(f"{shape.format(statistics.median(values))} ({low} to {high})")
        yield _row(title, cells)
    ratios = (f"{result.ratio_to_bare:.2f}×", f"{result.ratio_to_barest:.2f}×")
    yield _row("CPU of the gateway in terms of these", ("", *ratios))


def _row(title: str, cells: Sequence[str]) -> str:
    return f"  {title:38}" + "".join(f"{cell:>24}" for cell in cells)


def _opening(result: Opening) -> Iterator[str]:
    yield f"{result.opened:,} connections opened at {result.per_second:,.0f} a second without an error:"
    yield (
        f"  first bytes after {result.slowest_ms:.1f} ms at most; CPU of the gateway {result.cpu_us:.0f} µs "
        f"each, of the clients {result.audience_cpu_us:.0f} µs"
    )
    yield f"  {result.held:,} held, each got its event; {result.resident_mb:.0f} MiB in all"


def _comeback(result: Comeback) -> Iterator[str]:
    yield (
        f"{result.clients:,} clients came back at once, each with {result.missed_each} events to catch up "
        f"on: {result.seconds:.1f} s"
    )
    yield f"  CPU per event: gateway {result.cpu_us:.1f} µs, Redis {result.redis_cpu_us:.1f} µs"
    for title, values in (("others before", result.others_calm), ("others meanwhile", result.others)):
        yield f"  {title:18}" + "  ".join(f"{name} {value:.1f}" for name, value in values.items()) + " ms"
