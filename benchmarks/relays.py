"""The relays that are measured, each as the process that an operator would start."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.servers import KafkaServer, RedisServer, free_port

_STOP_SECONDS = 30.0


class Place(NamedTuple):
    """Where a relay reads and writes."""

    kafka: KafkaServer
    redis: RedisServer
    topic: str


class RelayFailed(Exception):
    """A relay ended by itself; carries the end of what it said."""


class Relay:
    """A running relay."""

    def __init__(self, process: subprocess.Popen[bytes], said: Path, group: str, metrics_port: int) -> None:
        self.pid = process.pid
        self.group = group
        self.metrics_port = metrics_port
        self._process = process
        self._said = said

    def check(self) -> None:
        """Raise `RelayFailed` where it does not run any more."""
        code = self._process.poll()
        if code is not None:
            raise RelayFailed(f"ended with code {code}:\n{self._said.read_text()[-3000:]}")

    def stop(self) -> None:
        """Ask it to stop, and wait for that."""
        self._process.terminate()
        self._process.wait(_STOP_SECONDS)

    def kill(self) -> None:
        """End it at once, where it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@contextmanager
def eventbridge(place: Place, settings: Mapping[str, str] | None = None) -> Iterator[Relay]:
    """EventBridge as `eventbridge run` starts it: its defaults, in a group and source of its own.

    `settings` are further ones, by their names without the prefix.
    """
    group, port = f"bench-{uuid.uuid4().hex[:8]}", free_port()
    given = {
        "KAFKA__BOOTSTRAP_SERVERS": place.kafka.bootstrap,
        "KAFKA__TOPICS": place.topic,
        "KAFKA__GROUP_ID": group,
        "SOURCE": group,
        "REDIS__URL": place.redis.url,
        "TELEMETRY__METRICS_PORT": str(port),
        **(settings or {}),
    }
    program = str(Path(sys.executable).with_name("eventbridge"))
    environment = {f"EVENTBRIDGE__{name}": value for name, value in given.items()}
    with _running(place, [program, "run"], group, port, environment) as relay:
        yield relay


@contextmanager
def plain(place: Place) -> Iterator[Relay]:
    """The plain job."""
    group = f"plain-{uuid.uuid4().hex[:8]}"
    arguments = [place.kafka.bootstrap, place.topic, group, place.redis.url]
    with _running(place, [sys.executable, "-m", "benchmarks.plain_relay", *arguments], group, 0, {}) as relay:
        yield relay


@contextmanager
def _running(
    place: Place, command: list[str], group: str, metrics_port: int, settings: Mapping[str, str]
) -> Iterator[Relay]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("EVENTBRIDGE_")}
    said = place.kafka.directory / f"{group}.log"
    with said.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**inherited, **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    relay = Relay(process, said, group, metrics_port)
    try:
        yield relay
    finally:
        relay.kill()
