"""Whether the bridge's memory stays flat over millions of records."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import msgspec
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from redis import Redis

from benchmarks import relays, targets
from benchmarks.measuring import STALL_SECONDS, RunFailed, look
from benchmarks.procfs import peak_resident_mb, resident_mb
from benchmarks.relays import Place
from benchmarks.throughput import TOPIC, produce
from benchmarks.workload import PARTITIONS, expected
from tests.servers import KafkaServer, RedisServer

PORTION = 500_000
"""Records that are produced, carried and then deleted from Kafka before the next ones come."""

STREAM_MAX_LENGTH = 100
"""Keeps Redis below 2 GB, whatever the number of records."""

_LOOK_SECONDS = 0.5


class Soak(msgspec.Struct, frozen=True):
    """Memory in MiB after each portion of records."""

    records: int
    seconds: float
    resident_mb: Sequence[float]
    peak_mb: float
    cpu_us_per_event: float

    @property
    def growth_mb(self) -> float:
        """From a tenth of the records to the end."""
        return self.resident_mb[-1] - self.resident_mb[len(self.resident_mb) // 10]

    def missed(self) -> Iterator[str]:
        """Yield what was not reached."""
        yield from targets.missed(
            ("peak memory, MiB", self.peak_mb, targets.MAX_RSS_MB, False),
            ("growth of the memory, MiB", self.growth_mb, targets.MAX_GROWTH_MB, False),
        )


def soak(count: int, say: Callable[[str], None]) -> Soak:
    """Carry `count` records in portions through one process.

    Raises `RunFailed` where it stops publishing, or publishes more than it should.
    """
    began, after = time.monotonic(), []
    with KafkaServer(heap="512m") as kafka, RedisServer() as redis:
        place = Place(kafka, redis, TOPIC)
        kafka.create_topic(TOPIC, partitions=PARTITIONS, segment_bytes=64 * 2**20)
        settings = {"REDIS__STREAM_MAX_LENGTH": str(STREAM_MAX_LENGTH)}
        with relays.eventbridge(place, settings) as relay, Redis.from_url(redis.url) as client:
            start = look(client, place, relay)
            for first in range(0, count, PORTION):
                produce(place, min(PORTION, count - first), first=first)
                wanted = expected(min(first + PORTION, count)).accepted
                _wait(client, place, relay, wanted)
                after.append(resident_mb(relay.pid))
                say(f"{min(first + PORTION, count):,} records, {after[-1]:.1f} MiB")
                _delete_records(place)
            end = look(client, place, relay)
            peak = peak_resident_mb(relay.pid)
            relay.stop()
    cpu = (end.relay_cpu - start.relay_cpu) * 1e6 / end.entries
    return Soak(count, time.monotonic() - began, after, peak, cpu)


def _wait(client: Redis, place: Place, relay: relays.Relay, wanted: int) -> None:
    entries, moved = -1, time.monotonic()
    while (now := look(client, place, relay).entries) < wanted:
        relay.check()
        if now != entries:
            entries, moved = now, time.monotonic()
        elif time.monotonic() > moved + STALL_SECONDS:
            raise RunFailed(f"{now} of {wanted} events, then nothing more")
        time.sleep(_LOOK_SECONDS)
    if now > wanted:
        raise RunFailed(f"{now} events were appended instead of {wanted}")


def _delete_records(place: Place) -> None:
    """Delete what was carried; -1 is the end of the log."""
    admin = AdminClient({"bootstrap.servers": place.kafka.bootstrap})
    ends = [TopicPartition(place.topic, number, -1) for number in range(PARTITIONS)]
    for deleted in admin.delete_records(ends).values():
        deleted.result(30)
