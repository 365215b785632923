"""The figures as a table for people."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from benchmarks.gateway.report import GatewayResult, gateway_table
from benchmarks.latency import Latency
from benchmarks.soak import Soak
from benchmarks.throughput import Throughput

_ROWS = (
    ("events_per_second", "published events per second", "{:,.0f}"),
    ("cpu_us_per_event", "CPU of the relay, µs per event", "{:.1f}"),
    ("redis_cpu_us_per_event", "CPU of Redis, µs per event", "{:.1f}"),
    ("kafka_cpu_us_per_event", "CPU of Kafka, µs per event", "{:.1f}"),
    ("redis_calls_per_event", "calls to Redis per event", "{:.4f}"),
    ("redis_bytes_in_per_event", "bytes to Redis per event", "{:,.0f}"),
    ("peak_rss_mb", "peak memory of the relay, MiB", "{:.0f}"),
    ("others_share", "noise: CPU used by others", "{:.0%}"),
    ("stolen_share", "noise: CPU taken by the host", "{:.0%}"),
)


Result = Throughput | Latency | Soak | GatewayResult


def table(result: Result) -> Iterator[str]:
    """Yield the lines that show a result."""
    if isinstance(result, Throughput):
        return _throughput(result)
    if isinstance(result, Latency):
        return _latency(result)
    return _soak(result) if isinstance(result, Soak) else gateway_table(result)


def _throughput(result: Throughput) -> Iterator[str]:
    yield f"{'median (lowest to highest)':36}{'EventBridge':>28}{'plain job':>28}"
    for name, title, shape in _ROWS:
        cells = []
        for runs in (result.eventbridge, result.plain):
            values = [getattr(each, name) for each in runs]
            low, high = shape.format(min(values)), shape.format(max(values))
            cells.append(f"{shape.format(statistics.median(values))} ({low} to {high})")
        yield f"{title:36}{cells[0]:>28}{cells[1]:>28}"
    yield f"{'rate in terms of the plain job':36}{result.ratio_to_plain:>27.2f}×{'1.00×':>28}"
    top = result.ceilings
    yield "Ceilings of the same run:"
    yield (
        f"  reading alone: {top.consumed_per_second:,.0f} records/s, "
        f"{top.consume_cpu_us_per_record:.1f} µs of CPU each"
    )
    yield (
        f"  redis-benchmark: {top.xadd_per_second:,.0f} XADD/s, {top.publish_per_second:,.0f} PUBLISH/s; "
        f"both: {top.written_per_second:,.0f}/s, {top.redis_cpu_us_per_event:.1f} µs of Redis' CPU"
    )


def _latency(result: Latency) -> Iterator[str]:
    yield f"Latency of {result.events:,} events at {result.rate:g} records/s, ms from Kafka's append:"
    for title, values in (("stored in Redis", result.stored), ("in a subscriber's hand", result.received)):
        yield f"  {title:24}" + "  ".join(f"{name} {value:.1f}" for name, value in values.items())


def _soak(result: Soak) -> Iterator[str]:
    yield f"{result.records:,} records in {result.seconds:.0f} s (producing them included):"
    yield (
        f"  memory {result.resident_mb[0]:.1f} MiB at first, {result.resident_mb[-1]:.1f} at the end, "
        f"{result.peak_mb:.1f} at most; from a tenth on it grew by {result.growth_mb:.1f}"
    )
    yield f"  CPU of the relay, µs per event: {result.cpu_us_per_event:.1f}"
