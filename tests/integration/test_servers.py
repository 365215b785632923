"""The servers of the tests do what the tests rely on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, Producer
from redis import Redis
from redis import RedisCluster as ClusterClient
from redis.exceptions import AuthenticationError

from tests.integration.conftest import KafkaTool
from tests.servers import (
    Certificates,
    KafkaCluster,
    KafkaServer,
    LocalServer,
    RedisCluster,
    RedisSentinels,
    RedisServer,
)
from tests.servers.choice import SharedKafka


class Forking(LocalServer):
    """A server with a worker that holds a pipe open for as long as it lives."""

    def command_line(self) -> list[str]:
        """Serve nothing."""
        return ["/bin/sh", "-c", "mkfifo pipe; sleep 600 > pipe & wait"]

    def ready(self) -> bool:
        """Whether the worker could be there."""
        return (self.directory / "pipe").exists()


def test_the_workers_of_a_server_that_is_killed_die_with_it() -> None:
    # Its pipe opens once the worker has opened it, too.
    with Forking() as server, (server.directory / "pipe").open() as pipe:
        server.kill()

        assert pipe.read() == ""


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


def test_kafkas_own_producer_reaches_the_shared_broker(topic: str, kafka_tool: KafkaTool) -> None:
    kafka_tool("kafka-console-producer", "--topic", topic, stdin="one\ntwo\nthree\n")

    offsets = kafka_tool("kafka-get-offsets", "--topic", topic).split()
    assert sum(int(line.rpartition(":")[2]) for line in offsets) == 3


@pytest.mark.real_redis
def test_a_redis_with_encryption_and_users_lets_only_those_in(
    redis_server: Callable[..., RedisServer], certificates: Certificates
) -> None:
    server = redis_server(tls=certificates, users={"default": "off", "bridge": "on >secret ~* +@all"})

    with pytest.raises(AuthenticationError):
        server.command("PING")

    assert server.url.startswith("rediss://")
    assert server.command("SET", "key", "value", user="bridge", password="secret")


def test_sentinels_name_the_replica_when_the_primary_is_killed(
    redis_sentinels: Callable[..., RedisSentinels],
) -> None:
    servers = redis_sentinels()

    servers.primary.kill()

    assert servers.wait_for_failover(servers.primary.port) == servers.replica.port


@pytest.mark.real_redis
def test_a_cluster_serves_all_slots(redis_cluster: Callable[..., RedisCluster]) -> None:
    servers = redis_cluster()

    with ClusterClient.from_url(servers.primaries[0].url) as client:
        written = [client.set(f"key-{number}", number) for number in range(50)]

    assert all(written)


@pytest.mark.timeout(90)
@pytest.mark.parametrize(
    ("protocol", "mechanism"),
    [("SASL_PLAINTEXT", "PLAIN"), ("SASL_PLAINTEXT", "SCRAM-SHA-256"), ("SASL_SSL", "SCRAM-SHA-512")],
)
def test_a_broker_with_protected_listeners_lets_its_users_in(
    protected_kafka: KafkaServer, certificates: Certificates, protocol: str, mechanism: str
) -> None:
    settings = {
        "bootstrap.servers": protected_kafka.bootstrap_for(protocol),
        "security.protocol": protocol,
        "ssl.ca.location": str(certificates.authority),
        "sasl.mechanism": mechanism,
        "sasl.username": "bridge",
        "sasl.password": "secret",
    }

    known = Producer(settings).list_topics(timeout=20)

    assert len(known.brokers) == 1


@pytest.mark.timeout(120)
def test_three_brokers_outlive_one(kafka_cluster: Callable[..., KafkaCluster]) -> None:
    brokers = kafka_cluster(brokers=3)
    brokers.create_topic("events", partitions=3)

    brokers.nodes[2].kill()

    producer = Producer({"bootstrap.servers": brokers.bootstrap})
    for partition in range(3):
        producer.produce("events", b"record", partition=partition)
    assert producer.flush(30) == 0
