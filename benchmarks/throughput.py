"""EventBridge and the plain job in turns over the same records, and the ceilings beside them."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec

from benchmarks import relays, targets
from benchmarks.ceilings import Ceilings, ceilings
from benchmarks.measuring import Measured, measure
from benchmarks.relays import Place
from benchmarks.workload import PARTITIONS, expected
from tests.servers import KafkaServer, RedisServer

TOPIC = "genesis.session.events"


class Throughput(msgspec.Struct, frozen=True):
    """All rounds of one comparison."""

    records: int
    produce_seconds: float
    ceilings: Ceilings
    eventbridge: Sequence[Measured]
    plain: Sequence[Measured]

    @property
    def ratio_to_plain(self) -> float:
        """The median rate of EventBridge in terms of the plain job's."""
        return median(self.eventbridge, "events_per_second") / median(self.plain, "events_per_second")

    def missed(self) -> Iterator[str]:
        """Yield what was not reached."""
        yield from targets.missed(
            ("rate in terms of the plain job's", self.ratio_to_plain, targets.MIN_RATIO_TO_PLAIN, True),
            ("CPU µs per event", median(self.eventbridge, "cpu_us_per_event"), targets.MAX_CPU_US, False),
            (
                "Redis CPU µs per event",
                median(self.eventbridge, "redis_cpu_us_per_event"),
                targets.MAX_REDIS_CPU_US,
                False,
            ),
            (
                "peak memory, MiB",
                max(each.peak_rss_mb for each in self.eventbridge),
                targets.MAX_RSS_MB,
                False,
            ),
        )


def median(runs: Sequence[Measured], name: str) -> float:
    """Return the median of one figure."""
    return float(statistics.median(getattr(each, name) for each in runs))


def compare(count: int, rounds: int, say: Callable[[str], None]) -> Throughput:
    """Produce the records once, then measure in turns: EventBridge, plain, EventBridge, plain …"""
    with KafkaServer(heap="512m") as kafka, RedisServer() as redis:
        place = Place(kafka, redis, TOPIC)
        kafka.create_topic(TOPIC, partitions=PARTITIONS)
        seconds = produce(place, count)
        say(f"{count:,} records produced in {seconds:.1f} s")
        highest = ceilings(place, count)
        say(f"ceilings: {highest.consumed_per_second:,.0f} records/s read")
        accepted = expected(count).accepted
        ours, theirs = [], []
        for number in range(1, rounds + 1):
            ours.append(measure(place, relays.eventbridge(place), accepted))
            say(f"round {number}: EventBridge {ours[-1].events_per_second:,.0f} events/s")
            theirs.append(measure(place, relays.plain(place), accepted))
            say(f"round {number}: plain job {theirs[-1].events_per_second:,.0f} events/s")
        return Throughput(count, seconds, highest, ours, theirs)


def produce(place: Place, count: int, *, first: int = 0, rate: float = 0) -> float:
    """Produce records in a process of its own; answers the seconds that it took."""
    began = time.monotonic()
    subprocess.run(producer(place, count, first=first, rate=rate), check=True)
    return time.monotonic() - began


def producer(place: Place, count: int, *, first: int = 0, rate: float = 0) -> list[str]:
    """Return the command line of the producer."""
    return [
        *(sys.executable, "-m", "benchmarks.produce_records"),
        *(place.kafka.bootstrap, place.topic, str(count), "--first", str(first), "--rate", str(rate)),
    ]
