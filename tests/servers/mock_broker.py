"""Holds librdkafka's mock cluster until it is ended; prints its address. Run as a program."""

import signal

from confluent_kafka import Producer


def main() -> None:
    """Start one mock broker, print `bootstrap host:port` and wait for a signal."""
    cluster = Producer({"test.mock.num.brokers": 1})
    (broker,) = cluster.list_topics(timeout=10).brokers.values()
    print(f"bootstrap {broker.host}:{broker.port}", flush=True)  # noqa: T201 - the parent reads it
    signal.pause()


if __name__ == "__main__":
    main()
