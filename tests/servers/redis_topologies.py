"""Several Redis servers as one: a primary with replicas under Sentinels, and a Cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Self

from .redis import RedisServer, SentinelServer

LIMIT_SECONDS = 20.0


class _Several:
    """Servers that are started and closed together."""

    servers: Sequence[RedisServer]

    def start(self) -> Self:
        """Start all and wait until they work as one."""
        for server in self.servers:
            server.start()
        return self

    def close(self) -> None:
        """End all and remove their directories."""
        for server in self.servers:
            server.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


class RedisSentinels(_Several):
    """One primary, one replica and three Sentinels (quorum 2, down after half a second)."""

    def __init__(self, **options: Any) -> None:
        self.primary = RedisServer(**options)
        self.replica = RedisServer(replica_of=self.primary, **options)
        self.sentinels = [SentinelServer(self.primary) for _ in range(3)]
        self.servers = [self.primary, self.replica, *self.sentinels]

    @property
    def url(self) -> str:
        """`redis+sentinel://host:port,…/service/0`, as EventBridge's setting takes it."""
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels)
        return f"redis+sentinel://{hosts}/{SentinelServer.service}/0"

    def start(self) -> Self:
        """Start all and wait until each Sentinel knows the replica and the two others."""
        super().start()
        _until(lambda: all(_is_complete(each) for each in self.sentinels), "the Sentinels to know each other")
        return self

    def current_primary_port(self) -> int:
        """Ask the first Sentinel that runs for the primary's port."""
        asked = next(each for each in self.sentinels if each.running)
        address = asked.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SentinelServer.service)
        return int(address[1])

    def wait_for_failover(self, old_port: int) -> int:
        """Wait until the Sentinels name another primary than the old one and return its port."""
        _until(lambda: self.current_primary_port() != old_port, "a failover")
        return self.current_primary_port()


class RedisCluster(_Several):
    """Three primaries with all 16384 slots, and as many replicas of each as asked for."""

    def __init__(self, *, replicas: int = 0, **options: Any) -> None:
        self.primaries = [RedisServer(cluster=True, **options) for _ in range(3)]
        self.replicas = [RedisServer(cluster=True, **options) for _ in range(3 * replicas)]
        self.servers = [*self.primaries, *self.replicas]

    @property
    def url(self) -> str:
        """`redis+cluster://host:port,…`, as EventBridge's setting takes it."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{each.port}" for each in self.primaries)

    def start(self) -> Self:
        """Start all, give out the slots, and wait until every node sees a healthy Cluster."""
        super().start()
        first = self.primaries[0]
        for other in self.servers[1:]:
            first.command("CLUSTER", "MEET", "127.0.0.1", other.port, other.bus_port)
        bounds = [0, 5461, 10923, 16384]
        for primary, low, high in zip(self.primaries, bounds[:-1], bounds[1:], strict=True):
            primary.command("CLUSTER", "ADDSLOTSRANGE", low, high - 1)
        every = self.servers
        _until(lambda: all(_knows(each, len(every)) for each in every), "the nodes to meet")
        for index, replica in enumerate(self.replicas):
            replica.command("CLUSTER", "REPLICATE", self.primaries[index % 3].command("CLUSTER", "MYID"))
        _until(lambda: all(_is_healthy(each) for each in every), "the Cluster to be healthy")
        return self


def _is_complete(sentinel: SentinelServer) -> bool:
    words: list[Any] = sentinel.command("SENTINEL", "MASTERS")
    state = words[0]
    known = state if isinstance(state, dict) else dict(zip(state[::2], state[1::2], strict=True))
    return int(known["num-slaves"]) == 1 and int(known["num-other-sentinels"]) == 2


def _knows(node: RedisServer, count: int) -> bool:
    return f"cluster_known_nodes:{count}" in _cluster_info(node)


def _is_healthy(node: RedisServer) -> bool:
    return "cluster_state:ok" in _cluster_info(node) and "master_link_status:down" not in str(
        node.command("INFO", "replication")
    )


def _cluster_info(node: RedisServer) -> str:
    said = node.command("CLUSTER", "INFO")
    return "\n".join(f"{k}:{v}" for k, v in said.items()) if isinstance(said, dict) else str(said)


def _until(holds: Callable[[], bool], what: str) -> None:
    limit = time.monotonic() + LIMIT_SECONDS
    while not holds():
        if time.monotonic() > limit:
            raise TimeoutError(f"waited {LIMIT_SECONDS:.0f} s in vain for {what}")
        time.sleep(0.05)
