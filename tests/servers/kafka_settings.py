"""The settings of a test broker: server.properties as names and values."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .certificates import Certificates

CLUSTER_ID = "ZXZlbnRicmlkZ2UtdGVzdA"
SECURITY_PROTOCOLS = ("SSL", "SASL_PLAINTEXT", "SASL_SSL")


def plain_settings(
    node_id: int, quorum: Mapping[int, int], ports: Mapping[str, int], data: str
) -> dict[str, str]:
    """Return what a node needs that is broker and controller, on the loopback address.

    `quorum` maps the node ids to their controllers' ports, `ports` the security protocols to those of
    the clients' listeners; `data` is the directory of the log.
    """
    controller = f"CONTROLLER://127.0.0.1:{quorum[node_id]}"
    clients = ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items())
    protocols = ",".join(f"{name}:{name}" for name in ports)
    copies = str(min(3, len(quorum)))
    return {
        "process.roles": "broker,controller",
        "node.id": str(node_id),
        "controller.quorum.voters": ",".join(f"{n}@127.0.0.1:{p}" for n, p in quorum.items()),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listeners": f"{clients},{controller}",
        "advertised.listeners": clients,
        "listener.security.protocol.map": f"CONTROLLER:PLAINTEXT,{protocols}",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "unclean.leader.election.enable": "false",
        # A broker that was killed may register again only when its old session has ended.
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "500",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": "1",
        "log.segment.delete.delay.ms": "0",
        "num.network.threads": "2",
        "num.io.threads": "2",
        "controlled.shutdown.enable": str(len(quorum) > 1).lower(),
    }


def protected_settings(
    listeners: Collection[str], users: Mapping[str, str], tls: Certificates | None
) -> dict[str, str]:
    """Return what listeners with encryption and log-in need, none where there are no such."""
    settings: dict[str, str] = {}
    if any(name.endswith("SSL") for name in listeners):
        if tls is None:
            raise ValueError("a listener with SSL needs tls=Certificates.create(directory)")
        chain = tls.certificate.with_name("server-chain.pem")
        chain.write_text(tls.key.read_text() + tls.certificate.read_text())
        settings |= {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(chain),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(tls.authority),
        }
    if any(name.startswith("SASL") for name in listeners):
        settings["sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER"
    security = "org.apache.kafka.common.security"
    accounts = " ".join(f'user_{name}="{password}"' for name, password in users.items())
    for name in (each.lower() for each in listeners if each.startswith("SASL")):
        modules = {
            "plain": f"{security}.plain.PlainLoginModule required {accounts}",
            "scram-sha-256": f"{security}.scram.ScramLoginModule required",
            "scram-sha-512": f"{security}.scram.ScramLoginModule required",
            "oauthbearer": f"{security}.oauthbearer.OAuthBearerLoginModule required"
            ' unsecuredLoginStringClaim_sub="broker"',
        }
        for mechanism, module in modules.items():
            settings[f"listener.name.{name}.{mechanism}.sasl.jaas.config"] = f"{module};"
    return settings
