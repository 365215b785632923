"""How long an event takes from Kafka's append until it can be read in Redis, at a steady rate."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator

import msgspec
from redis import Redis

from benchmarks import relays, targets
from benchmarks.relays import Place
from benchmarks.throughput import TOPIC, producer
from benchmarks.workload import PARTITIONS, expected
from eventbridge.adapters.redis import keys, live_format
from tests.servers import KafkaServer, RedisServer

SHARDS = 8
WARM_UP_SECONDS = 5
PATIENCE_SECONDS = 30.0


class Latency(msgspec.Struct, frozen=True):
    """Milliseconds from Kafka's LogAppendTime, which has whole milliseconds: up to 1 ms is too much.

    `stored` goes to the time in the entry's id: when the call that appended it began in Redis. `received`
    goes to the moment when a subscriber had its live copy in hand, later than when a reader could have it.
    """

    rate: float
    events: int
    stored: dict[str, float]
    received: dict[str, float]

    def missed(self) -> Iterator[str]:
        """Yield what was not reached."""
        yield from targets.missed(
            ("p99 from append to received, ms", self.received["p99"], targets.MAX_P99_MS, False)
        )


def measure_latency(rate: float, seconds: int, say: Callable[[str], None]) -> Latency:
    """Produce at a steady rate for so long; the first seconds are left out.

    Raises RuntimeError where events are missing.
    """
    with KafkaServer(heap="512m") as kafka, RedisServer() as redis:
        place = Place(kafka, redis, TOPIC)
        kafka.create_topic(TOPIC, partitions=PARTITIONS, message_timestamp_type="LogAppendTime")
        with relays.eventbridge(place) as relay, Redis.from_url(redis.url) as client:
            count = round(rate * seconds)
            with client.pubsub(ignore_subscribe_messages=True) as subscription:
                subscription.subscribe(*(keys.live(shard) for shard in range(SHARDS)))
                producing = subprocess.Popen(producer(place, count, rate=rate))
                say(f"{count:,} records at {rate:g}/s")
                wanted = expected(count).accepted
                times: list[tuple[int, float, float]] = []
                deadline = time.monotonic() + seconds + PATIENCE_SECONDS
                while len(times) < wanted and time.monotonic() < deadline:
                    message = subscription.get_message(timeout=1.0)
                    if message is None:
                        relay.check()
                        continue
                    now = time.time() * 1000
                    for copy in live_format.decode(message["data"]).copies:
                        times.append((int(copy.timestamp), float(copy.id.partition("-")[0]), now))
                producing.wait()
            if len(times) != wanted:
                raise RuntimeError(f"{len(times)} of {wanted} events were received")
    begin = times[0][0] + WARM_UP_SECONDS * 1000
    steady = [each for each in times if each[0] >= begin]
    return Latency(
        rate,
        len(steady),
        percentiles([stored - appended for appended, stored, _ in steady]),
        percentiles([received - appended for appended, _, received in steady]),
    )


def percentiles(values: list[float]) -> dict[str, float]:
    """Return p50, p90, p99, p99.9 and the maximum."""
    ordered = sorted(values)
    ranks = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {name: ordered[min(len(ordered) - 1, int(rank * len(ordered)))] for name, rank in ranks.items()}
