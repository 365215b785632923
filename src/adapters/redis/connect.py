"""Ways to Redis from settings; nothing is connected before the first call."""

from collections.abc import Callable
from typing import Any

from redis.asyncio import ConnectionPool, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from .link import MAX_CALLS, ClusterLink, Link, ServerLink, carried_through
from .settings import Address, RedisSettings, Topology

_CLIENT_NAME = "eventbridge"


def connect(settings: RedisSettings) -> Link:
    """Return the way to the servers that the URL names."""
    address = settings.address
    if address.topology is Topology.CLUSTER:
        return _to_cluster(address, settings.timeout_seconds)
    if address.topology is Topology.SENTINEL:
        return SentinelLink(address, settings.timeout_seconds)
    [(host, port)] = address.hosts
    pool = ConnectionPool(
        connection_class=SSLConnection if address.tls else Connection,
        max_connections=MAX_CALLS,
        host=host,
        port=port,
        **_options(address, settings.timeout_seconds),
    )
    return ServerLink(pool, settings.timeout_seconds, address.password)


class SentinelLink(ServerLink):
    """To the primary that Sentinels name; asks them anew whenever it connects."""

    def __init__(self, address: Address, timeout: float) -> None:
        # A Sentinel that does not answer must leave time for the others, and for the call itself.
        patience = timeout / (len(address.hosts) + 2)
        asking = _common(patience) | _tls(address)
        sentinel: Callable[..., Sentinel] = Sentinel
        self._sentinel = sentinel(address.hosts, sentinel_kwargs=asking)
        make_pool: Callable[..., ConnectionPool] = SentinelConnectionPool
        pool = make_pool(
            address.service,
            self._sentinel,
            max_connections=MAX_CALLS,
            **({"ssl": True} if address.tls else {}),
            **_options(address, timeout),
        )
        super().__init__(pool, timeout, address.password)

    async def close(self) -> None:
        """As in `Link`."""
        await super().close()
        for client in self._sentinel.sentinels:
            await carried_through(client.aclose())


def _to_cluster(address: Address, timeout: float) -> ClusterLink:
    options = _options(address, timeout)
    del options["db"], options["retry"]
    nodes = [ClusterNode(host, port, **options) for host, port in address.hosts]
    if address.tls:
        for node in nodes:
            node.connection_class = SSLConnection
        options["ssl"] = True
    client = RedisCluster(
        startup_nodes=nodes,
        max_connections=MAX_CALLS,
        retry=Retry(NoBackoff(), 0),
        require_full_coverage=False,
        **options,
    )
    return ClusterLink(client, timeout, address.password)


def _options(address: Address, timeout: float) -> dict[str, Any]:
    """Arguments of each connection. No time-out of its own per read: the call's covers it, and costs less."""
    return (
        _common(timeout)
        | _tls(address)
        | {
            "db": address.database,
            "username": address.username,
            "password": address.password,
            "socket_timeout": None,
            "client_name": _CLIENT_NAME,
        }
    )


def _common(timeout: float) -> dict[str, Any]:
    return {
        "protocol": 3,
        "legacy_responses": False,
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "socket_keepalive": True,
        "driver_info": None,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }


def _tls(address: Address) -> dict[str, Any]:
    if not address.tls:
        return {}
    return {"ssl_cert_reqs": "required", "ssl_check_hostname": True, **dict(address.files)}
