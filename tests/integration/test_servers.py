"""The servers of the tests do what the tests rely on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, Producer
from redis import Redis

from tests.servers import KafkaServer, RedisServer
from tests.servers.choice import SharedKafka


def test_a_record_comes_back_from_the_shared_broker(kafka: SharedKafka, topic: str, group_id: str) -> None:
    settings = {"bootstrap.servers": kafka.bootstrap}
    producer = Producer(settings)
    consumer = Consumer(settings | {"group.id": group_id, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])

    producer.produce(topic, b"hello", partition=3)
    producer.flush(10)
    record = consumer.poll(20)
    consumer.close()

    assert record is not None
    assert (record.value(), record.partition()) == (b"hello", 3)


def test_each_test_has_an_empty_logical_database(redis_url: str) -> None:
    with Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0


def test_a_killed_redis_comes_back_on_its_port_with_what_it_had_written(
    redis_server: Callable[..., RedisServer],
) -> None:
    server = redis_server(appendonly=True, appendfsync="always")
    server.command("SET", "key", "value")
    port = server.port

    server.kill()
    server.start()

    assert (server.port, server.command("GET", "key")) == (port, "value")


@pytest.mark.timeout(90)
def test_a_killed_broker_comes_back_on_its_port_with_its_topics(
    kafka_server: Callable[..., KafkaServer],
) -> None:
    server = kafka_server()
    server.create_topic("kept", partitions=2)
    server.tool("kafka-console-producer", "--topic", "kept", stdin="one\ntwo\n")
    bootstrap = server.bootstrap

    server.kill()
    server.start()

    offsets = server.tool("kafka-get-offsets", "--topic", "kept").split()
    assert sum(int(line.rpartition(":")[2]) for line in offsets) == 2
    assert server.bootstrap == bootstrap
