"""Produce records of the workload: as fast as the broker takes them, or so many a second."""

from __future__ import annotations

import argparse
import time

from confluent_kafka import Producer

from benchmarks.workload import records

_EVERY_SECONDS = 0.001


def produce(bootstrap: str, topic: str, count: int, first: int, rate: float) -> None:
    """Produce the records from number `first` on; a `rate` of 0 is as fast as possible.

    Raises RuntimeError where the broker did not take all.
    """
    linger = {"linger.ms": 0} if rate else {"linger.ms": 20, "batch.size": 262_144}
    producer = Producer(
        {"bootstrap.servers": bootstrap, "queue.buffering.max.messages": 200_000, "acks": "all", **linger}
    )
    refused: list[str] = []
    began = time.monotonic()
    for number, record in enumerate(records(count, first)):
        if rate:
            while time.monotonic() < began + number / rate:
                producer.poll(_EVERY_SECONDS)
        while True:
            try:
                producer.produce(
                    topic,
                    record.value,
                    record.key,
                    headers=record.headers,
                    on_delivery=lambda error, _: refused.append(str(error)) if error else None,
                )
                break
            except BufferError:
                producer.poll(0.05)
        if number % 1000 == 0:
            producer.poll(0)
    left = producer.flush(60)
    if refused or left:
        raise RuntimeError(f"{len(refused)} records were refused, {left} not sent: {refused[:1]}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap")
    parser.add_argument("topic")
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0)
    produce(**vars(parser.parse_args()))
