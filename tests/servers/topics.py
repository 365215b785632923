"""Topics made and deleted over Kafka's protocol, whatever the broker runs in."""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

LIMIT_SECONDS = 20


def create_topic(
    bootstrap: str,
    topic: str,
    *,
    partitions: int = 4,
    replicas: int = 1,
    config: Mapping[str, str] | None = None,
) -> None:
    """Create a topic and wait until the broker knows it."""
    wanted = NewTopic(topic, partitions, replicas, config=dict(config or {}))
    # The client must outlive the answer: one that is collected ends its requests.
    admin = _admin(bootstrap)
    admin.create_topics([wanted], operation_timeout=LIMIT_SECONDS)[topic].result(LIMIT_SECONDS)


def delete_topic(bootstrap: str, topic: str) -> None:
    """Delete a topic and wait until the broker has done so."""
    admin = _admin(bootstrap)
    admin.delete_topics([topic], operation_timeout=LIMIT_SECONDS)[topic].result(LIMIT_SECONDS)


def brokers(bootstrap: str, topic: str | None = None) -> list[str]:
    """Return the addresses that the metadata names, `host:port`; none where nobody answers in a second.

    A broker that creates topics by itself does so for the one that is asked for here.
    """
    try:
        known = _admin(bootstrap).list_topics(topic, timeout=1).brokers
    except KafkaException:
        return []
    return [f"{each.host}:{each.port}" for each in known.values()]


def _admin(bootstrap: str) -> AdminClient:
    # Level 0 leaves out the lines about refused connections: waiting for a broker is what they are for.
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
