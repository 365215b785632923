"""A real Apache Kafka broker (KRaft) of one's own, as a JVM process."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Self

from .certificates import Certificates
from .kafka_settings import CLUSTER_ID, SECURITY_PROTOCOLS, plain_settings, protected_settings
from .kafka_tools import java, run_tool
from .process import LocalServer, free_port
from .topics import brokers, create_topic, delete_topic

_LOGGING = """\
rootLogger.level = INFO
rootLogger.appenderRef.out.ref = OUT
appender.out.type = Console
appender.out.name = OUT
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %m (%c)%n
"""


class KafkaServer(LocalServer):
    """One node that is broker and controller; its topics survive `kill` and `restart`.

    It always has a plain listener (`bootstrap`), which its own tools and other brokers use. `listeners`
    adds protected ones: any of SSL, SASL_PLAINTEXT and SASL_SSL, reached under `bootstrap_for(protocol)`.
    `users` (name → password) may log in there by PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512; OAUTHBEARER
    takes unsecured tokens (`alg: none`). `tls` is needed for the two with SSL.

    Further arguments are settings of server.properties with `_` for `.`
    (`KafkaServer(log_retention_ms=1000)`); `config` takes such whose names hold a `_` of their own.
    """

    start_seconds = 60.0

    def __init__(
        self,
        *,
        node_id: int = 1,
        quorum: Mapping[int, int] | None = None,
        listeners: Collection[str] = (),
        users: Mapping[str, str] | None = None,
        tls: Certificates | None = None,
        heap: str = "256m",
        config: Mapping[str, str | int] | None = None,
        **overrides: str | int,
    ) -> None:
        super().__init__()
        if any(name not in SECURITY_PROTOCOLS for name in listeners):
            raise ValueError(f"listeners are any of {SECURITY_PROTOCOLS}, not {listeners}")
        self.node_id = node_id
        self._quorum = dict(quorum or {node_id: free_port()})
        self._heap = heap
        self._users = dict(users or {})
        self._ports = {name: free_port() for name in ("PLAINTEXT", *listeners)}
        self._config = plain_settings(node_id, self._quorum, self._ports, str(self.directory / "data"))
        self._config |= protected_settings(listeners, self._users, tls)
        self._config |= {name.replace("_", "."): str(value) for name, value in overrides.items()}
        self._config |= {name: str(value) for name, value in (config or {}).items()}

    @property
    def bootstrap(self) -> str:
        """Address of the plain listener, `127.0.0.1:port`."""
        return self.bootstrap_for("PLAINTEXT")

    def bootstrap_for(self, security_protocol: str) -> str:
        """Address of the listener of a security protocol."""
        return f"127.0.0.1:{self._ports[security_protocol]}"

    def create_topic(
        self, topic: str, *, partitions: int = 4, replicas: int = 1, **config: str | int
    ) -> None:
        """Create a topic and wait until it is there; `config` takes settings with `_` for `.`."""
        settings = {name.replace("_", "."): str(value) for name, value in config.items()}
        create_topic(self.bootstrap, topic, partitions=partitions, replicas=replicas, config=settings)

    def delete_topic(self, topic: str) -> None:
        """Delete a topic and wait until the broker has done so."""
        delete_topic(self.bootstrap, topic)

    def tool(self, name: str, *arguments: str, stdin: str = "", timeout_seconds: float = 60) -> str:
        """Run one of Kafka's own tools against this server (see `kafka_tools.TOOLS`), return its output.

        `server.tool("kafka-console-producer", "--topic", "t", stdin="one record a line\\n")`
        """
        address = ["--bootstrap-server", self.bootstrap]
        return run_tool(name, *address, *arguments, stdin=stdin, timeout_seconds=timeout_seconds)

    def command_line(self) -> list[str]:
        """Write server.properties, format the storage at the first start, name the file to the broker."""
        properties = self.directory / "server.properties"
        properties.write_text("".join(f"{name}={value}\n" for name, value in self._config.items()))
        logging = self.directory / "log4j2.properties"
        logging.write_text(_LOGGING)
        if not (self.directory / "data").exists():
            accounts = [
                word
                for name, password in self._users.items()
                for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
                for word in ("--add-scram", f"{mechanism}=[name={name},password={password}]")
            ]
            run_tool("kafka-storage", "format", "-t", CLUSTER_ID, "-c", str(properties), *accounts)
        options = [f"-Xmx{self._heap}", f"-Dlog4j2.configurationFile={logging}"]
        return java("kafka.Kafka", str(properties), options=options)

    def ready(self) -> bool:
        """Ask for metadata once the broker says that it has started."""
        return "Kafka Server started" in self.output(since_start=True) and bool(brokers(self.bootstrap))

    def __str__(self) -> str:
        return f"KafkaServer {self.node_id} on port {self._ports['PLAINTEXT']}"


class KafkaCluster:
    """Several `KafkaServer` nodes as one cluster; `nodes` maps a node id to its server.

    `arguments` are those of `KafkaServer`, the same for each node.
    """

    def __init__(self, brokers: int = 3, **arguments: Any) -> None:
        quorum = {node: free_port() for node in range(1, brokers + 1)}
        self.nodes = {node: KafkaServer(node_id=node, quorum=quorum, **arguments) for node in quorum}

    @property
    def bootstrap(self) -> str:
        """The plain addresses of all nodes."""
        return ",".join(node.bootstrap for node in self.nodes.values())

    def create_topic(
        self, topic: str, *, partitions: int = 4, replicas: int = 3, **config: str | int
    ) -> None:
        """Create a topic and wait until it is there; `config` takes settings with `_` for `.`."""
        self.nodes[1].create_topic(topic, partitions=partitions, replicas=replicas, **config)

    def start(self) -> Self:
        """Start all nodes: a node alone would not become ready."""
        for node in self.nodes.values():
            node.launch()
        for node in self.nodes.values():
            node.wait_until_ready()
        return self

    def close(self) -> None:
        """End all nodes and remove their directories."""
        for node in self.nodes.values():
            node.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()
