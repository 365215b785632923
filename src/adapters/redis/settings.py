"""Which Redis, and how its streams are kept: settings, and the addresses that they may hold."""

import enum
import math
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

DEFAULT_PORT = 6379
DEFAULT_SENTINEL_PORT = 26379
DEFAULT_SHARDS = 8
"""On one server (or a primary with replicas)."""
DEFAULT_CLUSTER_SHARDS = 128
"""In a Cluster, so that every primary has its share."""
MAX_SHARDS = 16_384
"""A Cluster's slots: more cannot lie apart."""

_FILES = {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}


class Durability(enum.StrEnum):
    """When an entry counts as written."""

    NONE = "none"
    """Redis has it in memory."""
    REPLICA = "replica"
    """At least one replica has it, too (`WAIT`)."""
    DISK = "disk"
    """It is in the append-only file on disk (`WAITAOF`, Redis 7.2 and later)."""


class Topology(enum.Enum):
    """How several servers are one."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Address:
    """What a URL says. Its text never holds the password."""

    topology: Topology
    hosts: tuple[tuple[str, int], ...]
    database: int = 0
    service: str | None = None
    """The name under which Sentinels know the primary."""
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    files: tuple[tuple[str, str], ...] = ()
    """PEM files for TLS: `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`."""

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Read `redis://`, `rediss://`, `redis+sentinel://` or `redis+cluster://` (`rediss+…` for TLS).

        Raises ValueError with a sentence that repeats neither the URL nor its password.
        """
        try:
            parts = urlsplit(url)
        except ValueError:
            raise ValueError("the Redis URL cannot be read: check its brackets") from None
        scheme, _, kind = parts.scheme.partition("+")
        if scheme not in {"redis", "rediss"} or kind not in {"", "sentinel", "cluster"}:
            raise ValueError(
                "a Redis URL begins with redis://, rediss://, redis+sentinel:// or redis+cluster://"
            )
        topology = Topology(kind or "single")
        tls = scheme == "rediss"
        login, _, hosts = parts.netloc.rpartition("@")
        username, _, password = login.partition(":")
        default_port = DEFAULT_SENTINEL_PORT if topology is Topology.SENTINEL else DEFAULT_PORT
        found = tuple(_host(host, default_port) for host in hosts.split(","))
        if topology is Topology.SINGLE and len(found) > 1:
            raise ValueError("several hosts need redis+sentinel:// or redis+cluster://")
        path = [unquote(part) for part in parts.path.split("/") if part]
        service = None
        if topology is Topology.SENTINEL:
            if not path:
                raise ValueError("redis+sentinel://host:port,host:port/service/db names the service")
            service = path.pop(0)
        database = _database(path)
        if topology is Topology.CLUSTER and database:
            raise ValueError("a Redis Cluster has no databases but 0")
        return cls(
            topology,
            found,
            database,
            service,
            tls,
            unquote(username) or None,
            unquote(password) or None,
            _files(parts.query, tls=tls),
        )


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """Settings of the Redis sink; wrong ones raise ValueError, with a sentence that holds no password."""

    url: str = field(default="redis://localhost:6379/0", repr=False)
    shards: int | None = None
    """None: 8 on one server, 128 in a Cluster. Cannot be changed once streams were written."""
    stream_max_length: int = 1000
    """Entries kept per stream, about: whole nodes are trimmed."""
    stream_ttl_seconds: int = 86_400
    """A stream's life after its last entry."""
    timeout_seconds: float = 5
    """For one call with everything in it: waiting for a connection, connecting, sending, the answer."""
    durability: Durability = Durability.NONE

    def __post_init__(self) -> None:
        Address.parse(self.url)
        object.__setattr__(self, "durability", Durability(self.durability))
        if self.shards is not None and not 1 <= self.shards <= MAX_SHARDS:
            raise ValueError(f"the number of shards must be 1 to {MAX_SHARDS}, got {self.shards}")
        if self.stream_max_length < 1:
            raise ValueError(f"a stream's length must be at least 1, got {self.stream_max_length}")
        if self.stream_ttl_seconds < 1:
            raise ValueError(f"a stream's life must be at least 1 second, got {self.stream_ttl_seconds}")
        if not (math.isfinite(self.timeout_seconds) and self.timeout_seconds > 0):
            raise ValueError(f"the time-out must be more than 0 seconds, got {self.timeout_seconds}")

    @property
    def address(self) -> Address:
        """The URL, taken apart."""
        return Address.parse(self.url)

    @property
    def shard_count(self) -> int:
        """The number of shards in force."""
        if self.shards is not None:
            return self.shards
        return DEFAULT_CLUSTER_SHARDS if self.address.topology is Topology.CLUSTER else DEFAULT_SHARDS


def _host(text: str, default_port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("a port in the Redis URL is no number between 0 and 65535") from None
    return host or "localhost", port or default_port


def _database(path: list[str]) -> int:
    if not path:
        return 0
    if len(path) > 1 or not (path[0].isascii() and path[0].isdigit()):
        raise ValueError("the database at the end of the Redis URL must be one number")
    return int(path[0])


def _files(query: str, *, tls: bool) -> tuple[tuple[str, str], ...]:
    options = parse_qsl(query, keep_blank_values=True)
    if any(name not in _FILES for name, _ in options):
        raise ValueError(f"a Redis URL takes only these options: {', '.join(sorted(_FILES))}")
    if options and not tls:
        raise ValueError("certificates in a Redis URL need rediss://")
    return tuple(options)
