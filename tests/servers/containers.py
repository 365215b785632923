"""The shared servers as containers on this machine's own network.

The network is the host's, so that a server is reached under the port that it announces, whatever
`dockerd` could set up; it takes Linux. Images: the published ones where they are here, else those that
scripts/build-test-images makes.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import closing
from typing import Any, Self

import docker
from docker.errors import DockerException
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from .kafka_settings import CLUSTER_ID, plain_settings
from .process import Guard, free_port
from .topics import brokers, create_topic

IMAGES = {"apache/kafka": "eventbridge-test/kafka", "redis": "eventbridge-test/redis"}
"""The published images, and those that take their place."""

START_SECONDS = 60


def missing_for_containers() -> str | None:
    """Say what containers lack on this machine, None where nothing does."""
    if sys.platform != "linux":
        return "Linux (the containers use the host's network)"
    if not _listens(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")):
        return "a Docker daemon that answers (scripts/start-dockerd)"
    try:
        with closing(docker.from_env()) as client:
            for published in IMAGES:
                if not _find_image(client, published):
                    return f"an image of {published} (scripts/build-test-images)"
    except DockerException:
        return "a Docker daemon that answers (scripts/start-dockerd)"
    return None


class _Container:
    """A container that is started and removed; subclasses say how, and when it is ready."""

    def __init__(self, published: str) -> None:
        self._published = published
        self._container: DockerContainer | None = None
        self._guard: Guard | None = None

    def start(self) -> Self:
        """Start the container and wait until the server answers."""
        # The reaper is one more image from a registry; what it would remove, `close` and the guard do.
        testcontainers_config.ryuk_disabled = True
        with closing(docker.from_env()) as client:
            image = _find_image(client, self._published)
        self._container = DockerContainer(
            image or self._published,
            command=self._command(),
            env=self._environment(),
            network_mode="host",
        )
        self._container.start()
        self._guard = Guard('docker rm --force "$1"', self._container.get_container_id())
        limit = time.monotonic() + START_SECONDS
        while not self._ready():
            self._container.reload()
            if self._container.status != "running" or time.monotonic() > limit:
                said = b"\n".join(self._container.get_logs()).decode(errors="replace")
                self.close()
                raise RuntimeError(f"the container of {image} did not become ready:\n{said[-3000:]}")
            time.sleep(0.05)
        return self

    def close(self) -> None:
        """Remove the container and its data."""
        if self._container is not None:
            self._container.stop()
            self._container = None
        if self._guard is not None:
            self._guard.dismiss()
            self._guard = None

    def _command(self) -> Any:
        return None

    def _environment(self) -> dict[str, str]:
        return {}

    def _ready(self) -> bool:
        raise NotImplementedError


class KafkaContainer(_Container):
    """Apache Kafka in a container."""

    def __init__(self) -> None:
        super().__init__("apache/kafka")
        self._port = free_port()
        self._quorum = {1: free_port()}

    @property
    def bootstrap(self) -> str:
        """Address of the broker."""
        return f"127.0.0.1:{self._port}"

    def create_topic(self, topic: str, *, partitions: int = 4) -> None:
        """Create a topic and wait until it is there."""
        create_topic(self.bootstrap, topic, partitions=partitions)

    def _environment(self) -> dict[str, str]:
        settings = plain_settings(1, self._quorum, {"PLAINTEXT": self._port}, "/tmp/kafka-data")
        names = {f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in settings.items()}
        return names | {"CLUSTER_ID": CLUSTER_ID, "KAFKA_HEAP_OPTS": "-Xmx256m"}

    def _ready(self) -> bool:
        return bool(brokers(self.bootstrap))


class RedisContainer(_Container):
    """Redis in a container, with 256 logical databases."""

    def __init__(self) -> None:
        super().__init__("redis")
        self._port = free_port()

    @property
    def url(self) -> str:
        """Address of logical database 0."""
        return self.url_for()

    def url_for(self, database: int = 0) -> str:
        """Address of a logical database."""
        return f"redis://127.0.0.1:{self._port}/{database}"

    def _command(self) -> list[str]:
        options = f"--port {self._port} --bind 127.0.0.1 --databases 256 --enable-debug-command local"
        return ["redis-server", *options.split(), "--save", ""]

    def _ready(self) -> bool:
        with Redis.from_url(self.url, socket_timeout=1) as client:
            try:
                return bool(client.ping())
            except RedisConnectionError:
                return False


def _listens(host: str) -> bool:
    # Asked first, since Docker's client leaves a socket open where it is refused.
    if not host.startswith("unix://"):
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(host.removeprefix("unix://")) == 0


def _find_image(client: docker.DockerClient, published: str) -> str | None:
    for repository in (published, IMAGES[published]):
        if tags := [tag for image in client.images.list(repository) for tag in image.tags]:
            return str(max(tags))
    return None
