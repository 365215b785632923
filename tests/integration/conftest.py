"""Servers for integration tests: shared ones with names of each test's own, and own ones to break."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import pytest
from redis import Redis

from tests.servers import (
    Certificates,
    KafkaCluster,
    KafkaServer,
    RedisCluster,
    RedisSentinels,
    RedisServer,
    run_tool,
)
from tests.servers.choice import ServerChoice, SharedKafka, SharedRedis

Server = TypeVar("Server", RedisServer, RedisSentinels, RedisCluster, KafkaServer, KafkaCluster)
_databases = itertools.cycle(range(256))


class NewTopic(Protocol):
    """Makes a topic of the test's own on the shared broker and returns its name."""

    def __call__(self, *, partitions: int = 4) -> str: ...


class KafkaTool(Protocol):
    """Runs a tool by the name of its script and returns what it printed."""

    def __call__(self, name: str, *arguments: str, stdin: str = "") -> str: ...


@pytest.fixture(scope="session")
def kafka(server_choice: ServerChoice) -> Iterator[SharedKafka]:
    """The session's broker."""
    with closing(server_choice.kafka()) as server:
        server.start()
        yield server


@pytest.fixture(scope="session")
def redis(server_choice: ServerChoice) -> Iterator[SharedRedis]:
    """The session's Redis; take `redis_url` where keys are written."""
    with closing(server_choice.redis()) as server:
        server.start()
        yield server


@pytest.fixture
def redis_url(redis: SharedRedis) -> str:
    """An empty logical database of the test's own (Pub/Sub channels are common to all of them)."""
    url = redis.url_for(next(_databases))
    with Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def new_topic(kafka: SharedKafka) -> NewTopic:
    def make(*, partitions: int = 4) -> str:
        name = f"test.{uuid4().hex[:12]}"
        kafka.create_topic(name, partitions=partitions)
        return name

    return make


@pytest.fixture
def topic(new_topic: NewTopic) -> str:
    return new_topic()


@pytest.fixture
def group_id() -> str:
    return f"group-{uuid4().hex[:12]}"


@pytest.fixture
def source_name() -> str:
    return f"source-{uuid4().hex[:12]}"


@pytest.fixture
def redis_server() -> Iterator[Callable[..., RedisServer]]:
    """Factory of Redis servers that the test may break; arguments as of `RedisServer`."""
    yield from _started(RedisServer)


@pytest.fixture
def redis_sentinels() -> Iterator[Callable[..., RedisSentinels]]:
    """Factory of a primary and a replica under three Sentinels."""
    yield from _started(RedisSentinels)


@pytest.fixture
def redis_cluster() -> Iterator[Callable[..., RedisCluster]]:
    """Factory of Clusters with three primaries."""
    yield from _started(RedisCluster)


@pytest.fixture
def kafka_server() -> Iterator[Callable[..., KafkaServer]]:
    """Factory of brokers that the test may break; arguments as of `KafkaServer`."""
    yield from _started(KafkaServer)


@pytest.fixture(scope="module")
def protected_kafka(certificates: Certificates) -> Iterator[KafkaServer]:
    """A broker with the listeners SSL, SASL_PLAINTEXT and SASL_SSL and the user `bridge`, `secret`."""
    listeners = ("SSL", "SASL_PLAINTEXT", "SASL_SSL")
    with KafkaServer(listeners=listeners, users={"bridge": "secret"}, tls=certificates) as server:
        yield server


@pytest.fixture
def kafka_cluster() -> Iterator[Callable[..., KafkaCluster]]:
    """Factory of clusters of brokers; arguments as of `KafkaCluster`."""
    yield from _started(KafkaCluster)


@pytest.fixture
def kafka_tool(kafka: SharedKafka) -> KafkaTool:
    """Runs one of Apache Kafka's own tools against the shared broker."""

    def run(name: str, *arguments: str, stdin: str = "") -> str:
        return run_tool(name, "--bootstrap-server", kafka.bootstrap, *arguments, stdin=stdin)

    return run


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority and a server certificate for `localhost` and `127.0.0.1`."""
    return Certificates.create(Path(tmp_path_factory.mktemp("certificates")))


def _started(kind: type[Server]) -> Iterator[Callable[..., Server]]:
    with ExitStack() as servers:

        def start(**arguments: Any) -> Server:
            return servers.enter_context(kind(**arguments))

        yield start
