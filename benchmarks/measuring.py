"""One run of one relay over all records, seen from outside: what Redis and Linux count."""

from __future__ import annotations

import os
import time
import urllib.request
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import NamedTuple

import msgspec
from confluent_kafka import Consumer, TopicPartition
from redis import Redis

from benchmarks.procfs import cpu_seconds, machine_seconds, peak_resident_mb
from benchmarks.relays import Place, Relay
from benchmarks.workload import PARTITIONS

SAMPLE_SECONDS = 0.1
"""Between two looks; one costs Redis some 0.1 ms."""

STALL_SECONDS = 60.0
"""Without any progress for so long a run has failed."""

_CALLED_BY_CLIENTS = ("evalsha", "xadd", "publish", "spublish")


class RunFailed(Exception):
    """A relay did not do what it must; what it measured counts for nothing."""


class Measured(msgspec.Struct, frozen=True):
    """What one run took. Events are published ones; rates and CPU are those between the first and the last
    look at which Redis was being written, so neither start nor end is in them."""

    events_per_second: float
    cpu_us_per_event: float
    redis_cpu_us_per_event: float
    kafka_cpu_us_per_event: float
    redis_calls_per_event: float
    redis_bytes_in_per_event: float
    peak_rss_mb: float
    others_share: float
    """Of the machine's CPU time, what processes used that have no part in this run."""
    stolen_share: float
    """Of it, what the host gave to other machines."""
    seconds: float


class _Look(NamedTuple):
    at: float
    entries: int
    relay_cpu: float
    redis_cpu: float
    kafka_cpu: float
    own_cpu: float
    machine_busy: float
    stolen: float
    calls: int
    bytes_in: int


def measure(place: Place, start: AbstractContextManager[Relay], accepted: int) -> Measured:
    """Run a relay on an empty Redis until it has published `accepted` events, then stop it.

    Raises `RunFailed` where it publishes none for a minute, or not exactly those.
    """
    place.redis.command("FLUSHALL", "SYNC")
    place.redis.command("CONFIG", "RESETSTAT")
    with Redis.from_url(place.redis.url) as client, start as relay:
        looks = [look(client, place, relay)]
        moved = time.monotonic()
        while looks[-1].entries < accepted:
            time.sleep(SAMPLE_SECONDS)
            relay.check()
            looks.append(look(client, place, relay))
            if looks[-1].entries != looks[-2].entries:
                moved = time.monotonic()
            elif time.monotonic() > moved + STALL_SECONDS:
                raise RunFailed(f"{looks[-1].entries} of {accepted} events, then nothing more")
        peak = peak_resident_mb(relay.pid)
        if relay.metrics_port:
            _check_metrics(relay, accepted)
        relay.stop()
        _check_result(client, place, relay, accepted)
    return _between([each for each in looks if 0 < each.entries < accepted], peak)


def look(client: Redis, place: Place, relay: Relay) -> _Look:
    """Read all counters as of now."""
    info: Mapping[str, object] = client.info("commandstats", "cpu", "stats")
    busy, stolen = machine_seconds()
    own = os.times()
    return _Look(
        at=time.monotonic(),
        entries=_calls(info, "xadd"),
        relay_cpu=cpu_seconds(relay.pid),
        redis_cpu=_number(info["used_cpu_user"]) + _number(info["used_cpu_sys"]),
        kafka_cpu=cpu_seconds(place.kafka.pid),
        own_cpu=own.user + own.system,
        machine_busy=busy,
        stolen=stolen,
        calls=_client_calls(info),
        bytes_in=int(_number(info["total_net_input_bytes"])),
    )


def _between(looks: list[_Look], peak_rss_mb: float) -> Measured:
    if len(looks) < 3:
        raise RunFailed("too short to be measured: take more records")
    first, last = looks[0], looks[-1]
    events, seconds = last.entries - first.entries, last.at - first.at
    ours = sum(
        getattr(last, name) - getattr(first, name)
        for name in ("relay_cpu", "redis_cpu", "kafka_cpu", "own_cpu")
    )
    capacity = seconds * (os.cpu_count() or 1)
    return Measured(
        events_per_second=events / seconds,
        cpu_us_per_event=(last.relay_cpu - first.relay_cpu) * 1e6 / events,
        redis_cpu_us_per_event=(last.redis_cpu - first.redis_cpu) * 1e6 / events,
        kafka_cpu_us_per_event=(last.kafka_cpu - first.kafka_cpu) * 1e6 / events,
        redis_calls_per_event=(last.calls - first.calls) / events,
        redis_bytes_in_per_event=(last.bytes_in - first.bytes_in) / events,
        peak_rss_mb=peak_rss_mb,
        others_share=max(0.0, (last.machine_busy - first.machine_busy - ours) / capacity),
        stolen_share=(last.stolen - first.stolen) / capacity,
        seconds=seconds,
    )


def _check_metrics(relay: Relay, accepted: int) -> None:
    """Metrics were on, and right."""
    with urllib.request.urlopen(f"http://127.0.0.1:{relay.metrics_port}/metrics", timeout=10) as answer:
        shown = answer.read().decode()
    # The last answer may be on its way while the entries are in Redis already.
    published = next(
        float(line.split()[1])
        for line in shown.splitlines()
        if line.startswith("eventbridge_events_published_total")
    )
    if not 0.9 * accepted <= published <= accepted:
        raise RunFailed(f"the metrics show {published:.0f} published events instead of {accepted}")


def _check_result(client: Redis, place: Place, relay: Relay, accepted: int) -> None:
    """After the stop every event is there once, and everything is committed."""
    streams = list(client.scan_iter(count=5000, _type="stream"))
    with client.pipeline(transaction=False) as pipeline:
        for key in streams:
            pipeline.xlen(key)
        entries = sum(pipeline.execute())
    if entries != accepted:
        raise RunFailed(f"{entries} entries in the streams instead of {accepted}")
    consumer = Consumer({"bootstrap.servers": place.kafka.bootstrap, "group.id": relay.group})
    try:
        partitions = [TopicPartition(place.topic, number) for number in range(PARTITIONS)]
        for partition in consumer.committed(partitions, timeout=10):
            _, end = consumer.get_watermark_offsets(partition, timeout=10)
            if partition.offset != end:
                raise RunFailed(
                    f"{place.topic}/{partition.partition} is committed at {partition.offset}, not {end}"
                )
    finally:
        consumer.close()


def _client_calls(info: Mapping[str, object]) -> int:
    """Commands that came over the network; those of a script are counted by Redis, too, but are no calls."""
    by_script = _calls(info, "evalsha") > 0
    return sum(_calls(info, name) for name in (("evalsha",) if by_script else _CALLED_BY_CLIENTS))


def _calls(info: Mapping[str, object], command: str) -> int:
    stats = info.get(f"cmdstat_{command}")
    return int(stats["calls"]) if isinstance(stats, dict) else 0


def _number(value: object) -> float:
    return float(str(value))
