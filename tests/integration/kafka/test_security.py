"""Logins and certificates against a real broker, and what an inspection says about them."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

from eventbridge.adapters.kafka.inspection import inspect
from eventbridge.adapters.kafka.settings import KafkaSettings
from eventbridge.application.errors import SourceMisconfigured
from eventbridge.application.findings import Level
from eventbridge.domain.delivery import Partition
from tests.integration.kafka.members import Member, joined, produce
from tests.servers import Certificates, KafkaServer
from tests.servers.kafka_tools import missing_for_kafka

PASSWORD = "s3cret"


@pytest.fixture(scope="module")
def broker(certificates: Certificates) -> Iterator[KafkaServer]:
    """A broker that denies what it does not allow: `bridge` may read, `stranger` may nothing."""
    if missing := missing_for_kafka():
        pytest.skip(f"needs an Apache Kafka of its own; missing: {missing}")
    with KafkaServer(
        listeners=("SSL", "SASL_PLAINTEXT", "SASL_SSL"),
        users={"bridge": PASSWORD, "stranger": PASSWORD},
        tls=certificates,
        authorizer_class_name="org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        super_users="User:ANONYMOUS",
    ) as server:
        for topic in ("events", "rejected"):
            server.create_topic(topic, partitions=1)
        _allow(server, AclOperation.READ, ResourceType.TOPIC, "events")
        _allow(server, AclOperation.READ, ResourceType.GROUP, "bridges")
        _allow(server, AclOperation.WRITE, ResourceType.TOPIC, "rejected")
        yield server


def _allow(server: KafkaServer, operation: AclOperation, kind: ResourceType, name: str) -> None:
    rule = AclBinding(
        kind, name, ResourcePatternType.LITERAL, "User:bridge", "*", operation, AclPermissionType.ALLOW
    )
    admin = AdminClient({"bootstrap.servers": server.bootstrap})
    for done in admin.create_acls([rule]).values():
        done.result(20)


@asynccontextmanager
async def _forwarded(address: str, host: str) -> AsyncIterator[str]:
    """The server at `address`, reached under another address."""
    to_host, _, to_port = address.rpartition(":")

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, onward = await asyncio.open_connection(to_host, int(to_port))
        with suppress(OSError):
            await asyncio.gather(copy(reader, onward), copy(back, writer))

    server = await asyncio.start_server(accept, host, 0)
    async with server:
        yield f"{host}:{server.sockets[0].getsockname()[1]}"


def _token(path: Path) -> str:
    """An unsecured token (RFC 7515, `alg: none`), which the broker's handler for tests takes."""
    now = time.time()
    parts = ({"alg": "none"}, {"sub": "bridge", "iat": now, "exp": now + 300})
    encoded = [base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=").decode() for each in parts]
    path.write_text(".".join(encoded) + ".")
    return str(path)


def _settings(broker: KafkaServer, protocol: str, **options: Any) -> KafkaSettings:
    usual: dict[str, Any] = {
        "bootstrap_servers": (broker.bootstrap_for(protocol),),
        "topics": ("events",),
        "group_id": "bridges",
        "security_protocol": protocol,
        "request_timeout_seconds": 5.0,
    }
    given: dict[str, Any] = usual | options
    return KafkaSettings(**given)


LOGINS: dict[str, dict[str, Any]] = {
    "PLAIN": {"sasl_mechanism": "PLAIN", "sasl_username": "bridge", "sasl_password": PASSWORD},
    "SCRAM-SHA-256": {
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_username": "bridge",
        "sasl_password": PASSWORD,
    },
    "SCRAM-SHA-512": {
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_username": "bridge",
        "sasl_password": PASSWORD,
    },
    "OAUTHBEARER": {"sasl_mechanism": "OAUTHBEARER"},
}


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
@pytest.mark.parametrize("login", LOGINS.values(), ids=LOGINS.keys())
async def test_every_login_reads(
    broker: KafkaServer, certificates: Certificates, tmp_path: Path, protocol: str, login: dict[str, Any]
) -> None:
    options = dict(login)
    if login["sasl_mechanism"] == "OAUTHBEARER":
        options["sasl_oauth_token_file"] = _token(tmp_path / "token")
    if protocol == "SASL_SSL":
        options["ssl_ca_file"] = str(certificates.authority)
    else:
        options["sasl_allow_plaintext_password"] = True
    partition = Partition("events", 0)
    await produce(broker.bootstrap, partition, b"seen by all")
    async with joined(_settings(broker, protocol, **options), 1) as member:
        member.source.seek(partition, 0)

        (record, *_) = await member.read(partition, 1)

    assert record.value == b"seen by all"


async def test_a_wrong_password_is_told_from_an_absent_broker(
    broker: KafkaServer, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    login = LOGINS["SCRAM-SHA-512"] | {"sasl_password": "wr0ng"}
    member = Member(_settings(broker, "SASL_SSL", ssl_ca_file=str(certificates.authority), **login))

    with pytest.raises(SourceMisconfigured) as refused:
        await member.source.start(member)

    assert refused.value.reason == "authentication"
    assert "wr0ng" not in caplog.text + str(refused.value)


async def test_a_certificate_that_nobody_vouches_for_is_refused(broker: KafkaServer) -> None:
    member = Member(_settings(broker, "SASL_SSL", **LOGINS["PLAIN"]))

    with pytest.raises(SourceMisconfigured) as refused:
        await member.source.start(member)

    assert refused.value.reason == "certificate"


async def test_a_certificate_for_another_host_is_refused_unless_that_is_switched_off(
    certificates: Certificates, broker: KafkaServer
) -> None:
    options = LOGINS["PLAIN"] | {"ssl_ca_file": str(certificates.authority)}

    # The broker's certificate names 127.0.0.1.
    async with _forwarded(broker.bootstrap_for("SASL_SSL"), "127.0.0.2") as address:
        options["bootstrap_servers"] = (address,)
        findings = {
            checked: await inspect(_settings(broker, "SASL_SSL", **options, ssl_check_hostname=checked))
            for checked in (True, False)
        }

    assert [each.level for each in findings[True]] == [Level.ERROR]
    assert "certificate" in findings[True][0].sentence
    assert [each.level for each in findings[False]][:2] == [Level.OK, Level.WARNING]


async def test_a_user_without_rights_is_told_which_are_missing(
    broker: KafkaServer, certificates: Certificates
) -> None:
    login = LOGINS["PLAIN"] | {"sasl_username": "stranger", "ssl_ca_file": str(certificates.authority)}
    member = Member(_settings(broker, "SASL_SSL", **login))

    with pytest.raises(SourceMisconfigured):
        await member.source.start(member)
    findings = await inspect(_settings(broker, "SASL_SSL", **login), "rejected")

    assert {each.subject: each.level for each in findings} == {
        "brokers": Level.OK,
        "topic events": Level.ERROR,
        "dead letters rejected": Level.ERROR,
        "group bridges": Level.ERROR,
    }


async def test_a_group_that_may_not_be_used_is_ours_to_mend(
    broker: KafkaServer, certificates: Certificates
) -> None:
    login = LOGINS["PLAIN"] | {"group_id": "foreign", "ssl_ca_file": str(certificates.authority)}
    member = Member(_settings(broker, "SASL_SSL", **login))

    with pytest.raises(SourceMisconfigured) as refused:
        await member.source.start(member)
    findings = await inspect(_settings(broker, "SASL_SSL", **login))

    assert refused.value.reason == "group_authorization"
    assert findings[-1].sentence == "This user lacks the right READ on the group."


async def test_what_is_well_is_said_too(broker: KafkaServer, certificates: Certificates) -> None:
    login = LOGINS["SCRAM-SHA-256"] | {"ssl_ca_file": str(certificates.authority)}

    findings = await inspect(_settings(broker, "SASL_SSL", **login), "rejected")

    assert [(each.level, each.subject) for each in findings] == [
        (Level.OK, "brokers"),
        (Level.OK, "topic events"),
        (Level.OK, "reading events"),
        (Level.OK, "dead letters rejected"),
        (Level.OK, "group bridges"),
    ]
    assert all(each.sentence.endswith(".") for each in findings)


async def test_the_right_to_describe_is_not_the_right_to_read(
    broker: KafkaServer, certificates: Certificates
) -> None:
    # Whoever may write may describe.
    login = LOGINS["PLAIN"] | {"topics": ("rejected",), "ssl_ca_file": str(certificates.authority)}
    settings = _settings(broker, "SASL_SSL", **login)

    findings = {each.subject: each for each in await inspect(settings)}
    async with joined(settings, 1) as member:
        partition = Partition("rejected", 0)
        member.source.seek(partition, 0)
        with pytest.raises(SourceMisconfigured) as refused:
            await member.source.poll(partition, 10, 10)

    assert findings["reading rejected"].sentence == "This user lacks the right READ on the topic."
    assert refused.value.reason == "topic_authorization"


async def test_nobody_there_is_one_finding() -> None:
    settings = KafkaSettings(bootstrap_servers=("127.0.0.1:1",), topics=("events",))

    (finding,) = await inspect(settings)

    assert (finding.level, "127.0.0.1:1" in finding.sentence) == (Level.ERROR, True)
