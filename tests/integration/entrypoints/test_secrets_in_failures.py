"""FAULTS 51: whatever a server does with the secrets that it is sent, nobody reads them with us."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from dependency_injector import providers
from prometheus_client import generate_latest

from eventbridge.adapters.telemetry.log_lines import formatter
from eventbridge.application.ports import EventSource
from eventbridge.entrypoints.adapter_settings import secrets_of
from eventbridge.entrypoints.cli import main
from eventbridge.entrypoints.container import Container
from eventbridge.entrypoints.daemon import Daemon
from eventbridge.entrypoints.gateway import Gateway
from eventbridge.entrypoints.gateway_container import GatewayContainer
from eventbridge.entrypoints.lifecycle import Lifecycle
from eventbridge.entrypoints.process import log_as_set, run_process
from eventbridge.entrypoints.run import carry
from eventbridge.entrypoints.settings import Settings
from tests.integration.entrypoints.processes import LIMIT_SECONDS
from tests.integration.gateway.running import AUDIENCE, KEY, bearer, new_user, running_gateway, token
from tests.integration.gateway.sse_client import answer_of, open_page
from tests.servers import Certificates, RedisServer
from tests.servers.hostile import REDIS, WEB, Answer, HostileServer, refuse_login_to_kafka
from tests.servers.process import free_port
from tests.unit.adapters.jwt.issuer import raw_token

SECRET = "hunter2/ planted"
ESCAPED = "hunter2%2F%20planted"
PARTS = ("hunter2", "planted", KEY)

USER = "00000000-0000-4000-8000-00000000000a"
COMMANDS = (
    ("check",),
    ("check", "--json"),
    ("revoke", "--user", USER),
    ("tail", "--user", USER),
    ("skip", "--yes", "--topic", "t", "--partition", "0", "--to", "1"),
)

Said = Callable[..., str]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Said:
    """All that the commands say with these settings; none of them succeeds, and none breaks."""

    def of(settings: Mapping[str, str], *commands: tuple[str, ...]) -> str:
        for name, value in settings.items():
            monkeypatch.setenv(f"EVENTBRIDGE__{name}", value)
        for command in commands:
            with pytest.raises(SystemExit) as stopped:
                main(command)
            assert stopped.value.code == 1, command
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return str(out) + str(err)

    return of


REDIS_URLS = [
    *(("redis://u:{}@127.0.0.1:{}/0", name) for name in REDIS),
    ("redis+cluster://u:{}@127.0.0.1:{}", "a talkative refusal"),
    ("redis+cluster://u:{}@127.0.0.1:{}", "an echo"),
    ("redis+sentinel://u:{}@127.0.0.1:{}/primary", "a redirection"),
    ("redis+sentinel://u:{}@127.0.0.1:{}/primary", "an echo"),
    ("rediss://u:{}@127.0.0.1:{}/0", "an echo"),
]


@pytest.mark.parametrize(("url", "kind"), REDIS_URLS)
def test_no_password_of_redis_is_repeated_whatever_answers(
    url: str, kind: str, said: Said, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with HostileServer(REDIS[kind]) as server:
        address = url.format(ESCAPED, server.port)
        commands = said({"REDIS__URL": address, "REDIS__TIMEOUT_SECONDS": "1"}, *COMMANDS)
        settings = settings_with(redis={"url": address, "timeout_seconds": 1})
        programs = asyncio.run(told_by_programs(settings, "Redis at"))

    everything = commands + programs + logged(caplog, settings)
    assert [part for part in PARTS if part in everything] == []
    assert "eventbridge: the sink" in commands
    assert "waiting for Redis at" in programs


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_no_password_is_repeated_when_redis_refuses_it(
    tls: bool,
    said: Said,
    caplog: pytest.LogCaptureFixture,
    redis_server: Callable[..., RedisServer],
    certificates: Certificates,
) -> None:
    caplog.set_level(logging.DEBUG)
    server = redis_server(requirepass="hunter2-itself", **({"tls": certificates} if tls else {}))
    told = ""
    # Over TLS nobody vouches for the server's certificate.
    for url in (server.url_for(user="u", password=ESCAPED), server.url_for(password=ESCAPED), server.url):
        told += said({"REDIS__URL": url, "REDIS__TIMEOUT_SECONDS": "1"}, *COMMANDS)
        settings = settings_with(redis={"url": url, "timeout_seconds": 1})
        told += asyncio.run(told_by_programs(settings, "Redis at"))
        told += logged(caplog, settings)

    assert [part for part in PARTS if part in told] == []
    assert told.count("certificate" if tls else "authentication") > 10


LOGINS: dict[str, dict[str, str]] = {
    "PLAIN": {"sasl_mechanism": "PLAIN", "sasl_username": "u", "sasl_password": SECRET},
    "OAUTHBEARER": {"sasl_mechanism": "OAUTHBEARER"},
}


@pytest.mark.parametrize("login", LOGINS.values(), ids=LOGINS.keys())
@pytest.mark.parametrize(
    "broker",
    [
        ("SASL_PLAINTEXT", refuse_login_to_kafka),
        ("SASL_PLAINTEXT", REDIS["an echo"]),
        ("SASL_PLAINTEXT", REDIS["nothing"]),
        ("SASL_SSL", REDIS["an echo"]),
    ],
)
def test_no_secret_of_kafka_is_repeated_whatever_answers(
    broker: tuple[str, Answer],
    login: dict[str, str],
    said: Said,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    caplog.set_level(logging.DEBUG)
    token = tmp_path / "token"
    token.write_text("hunter2-planted")
    protocol, answer = broker
    with HostileServer(answer) as server:
        kafka = {
            **login,
            "bootstrap_servers": f"127.0.0.1:{server.port}",
            "security_protocol": protocol,
            "sasl_allow_plaintext_password": "true",
            "sasl_oauth_token_file": str(token),
        }
        everything = told_of_kafka(kafka, said, caplog)

    assert [part for part in PARTS if part in everything] == []
    assert "waiting for Kafka at" in everything


@pytest.mark.parametrize("kind", WEB)
def test_no_secret_of_a_client_is_repeated_whatever_its_token_endpoint_answers(
    kind: str, said: Said, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with HostileServer(refuse_login_to_kafka) as broker, HostileServer(WEB[kind]) as endpoint:
        kafka = {
            "sasl_mechanism": "OAUTHBEARER",
            "sasl_oauth_token_url": f"http://127.0.0.1:{endpoint.port}/planted?key=planted",
            "sasl_oauth_client_id": "u",
            "sasl_oauth_client_secret": SECRET,
            "bootstrap_servers": f"127.0.0.1:{broker.port}",
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_allow_plaintext_password": "true",
        }
        everything = told_of_kafka(kafka, said, caplog)

    assert [part for part in PARTS if part in everything] == []
    assert "the token endpoint" in everything


def told_of_kafka(kafka: Mapping[str, str], said: Said, caplog: pytest.LogCaptureFixture) -> str:
    """All that commands, programs and logs say of a Kafka that cannot be logged in to."""
    absent = "redis://127.0.0.1:1"
    variables = {f"KAFKA__{name.upper()}": value for name, value in kafka.items()}
    commands = said(variables | {"REDIS__URL": absent}, ("check",), ("produce", "--count", "1"))
    settings = settings_with(kafka=kafka, redis={"url": absent})
    programs = asyncio.run(told_by_programs(settings, "Kafka at"))
    return commands + programs + logged(caplog, settings)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("kind", WEB)
async def test_nothing_of_the_address_of_the_keys_is_repeated_whatever_answers(
    kind: str, scheme: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with HostileServer(WEB[kind]) as server:
        keys = f"{scheme}://127.0.0.1:{server.port}/planted?key=planted"
        settings = settings_with(gateway={"port": 0, "jwks_url": keys, "jwt_audience": AUDIENCE})
        parts = GatewayContainer(settings=settings)
        gateway = Gateway(parts)
        try:
            await gateway.start()
            await until(lambda: "cannot be fetched" in caplog.text)
            headers = {"Authorization": f"Bearer {raw_token({'alg': 'RS256', 'kid': 'planted'}, {})}"}
            answers = [
                await answer_of(gateway.port, path, headers, method=method)
                for path, method in (("/position", "GET"), ("/ticket", "POST"), ("/events", "GET"))
            ]
            metrics = generate_latest(parts.telemetry().registry).decode()
            health = str(parts.lifecycle().health())
        finally:
            await gateway.stop()

    everything = f"{answers}{metrics}{health}" + logged(caplog, settings)
    assert [status for status, _, _ in answers] == [503, 503, 200]
    assert [part for part in PARTS if part in everything] == []


def bad_tokens() -> dict[str, str]:
    """Tokens that are none, each wrong in another way."""
    user = new_user()
    good = token(user)
    head, body, signature = good.split(".")
    return {
        "a letter more": good + "x",
        "expired": token(user, seconds=-1),
        "another audience": token(user, aud="planted"),
        "no time": token(user, exp="planted"),
        "not yet": token(user, nbf=9_999_999_999),
        "no user": token("planted"),
        "a long id": token(user, jti="planted" * 50),
        "another key": token(user, key="another secret of more than thirty-two bytes"),
        "unsigned": raw_token({"alg": "none"}, {"sub": "planted"}),
        "another algorithm": raw_token({"alg": "planted", "kid": "planted"}, {}),
        "a header that is none": raw_token(["planted"], {}),
        "claims that are none": raw_token({"alg": "HS256"}, ["planted"]),
        "two parts": f"{head}.{body}",
        "five parts": f"{head}.{body}.{signature}.planted.{body}",
        "one part": "hunter2-planted",
        "with a blank": "hunter2 planted",
        "not ASCII": "hunter2-pl\xe4nted",
        "too long": "planted" * 1500,
    }


async def test_nothing_of_a_bad_token_is_repeated_wherever_it_stands(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    page, tokens = "https://app.example", bad_tokens()
    answers = []
    async with running_gateway(redis_url, cors_origins=(page,)) as gateway:
        for bad in tokens.values():
            for place, headers in (
                ("", {"Authorization": f"Bearer {bad}"}),
                ("", {"Cookie": f"a=planted; __Host-eventbridge={bad}", "Origin": page}),
                ("", {"Cookie": f"__Host-eventbridge={bad}"}),
                (f"?ticket={quote(bad, encoding='latin-1')}", {}),
            ):
                for path, method in (("/position", "GET"), ("/ticket", "POST"), ("/events", "GET")):
                    answers.append(await answer_of(gateway.port, path + place, headers, method=method))
        metrics = generate_latest(gateway.container.telemetry().registry).decode()
        health = str(gateway.container.lifecycle().health())
        lines = logged(caplog, gateway.container.settings())

    everything = f"{answers}{metrics}{health}{lines}"
    pieces = {piece for bad in tokens.values() for piece in bad.split(".") if len(piece) > 8}
    assert {status for status, _, _ in answers} == {400, 401, 403, 431}
    assert [part for part in (*PARTS, *pieces) if part in everything] == []


def test_a_defect_is_told_without_the_secrets_that_it_met(
    capsys: pytest.CaptureFixture[str], logging_as_before: None
) -> None:
    settings = settings_with(
        kafka={**LOGINS["PLAIN"], "security_protocol": "SASL_SSL"},
        redis={"url": f"redis://u:{ESCAPED}@127.0.0.1:1"},
        telemetry={"metrics_port": 0},
    )
    container = Container(settings=settings)
    container.source.override(providers.Resource(_defective, settings))
    log_as_set(settings)

    code = run_process(lambda: carry(container))

    told = capsys.readouterr().err
    assert code == 1
    assert "_defective" in told
    assert "cannot use" in told
    assert [part for part in PARTS if part in told] == []


async def _defective(settings: Settings) -> AsyncIterator[EventSource]:
    passwords = settings.redis.url.get_secret_value(), settings.kafka.sasl_password
    raise RuntimeError(f"cannot use {passwords[0]} nor {SECRET} nor Bearer planted-token nor {KEY}")
    yield


def settings_with(**groups: Mapping[str, object]) -> Settings:
    """Those of a bridge and a gateway on free ports."""
    gateway = {
        "port": free_port(),
        "jwt_key": KEY,
        "jwt_algorithms": ("HS256",),
        "jwt_audience": AUDIENCE,
        "stale_after_seconds": 0.1,
        "drain_seconds": 0.1,
    }
    values: dict[str, Any] = {"kafka": {"bootstrap_servers": "127.0.0.1:1"}, "gateway": gateway, **groups}
    return Settings.model_validate(values)


async def told_by_programs(settings: Settings, awaited: str) -> str:
    """What a bridge and a gateway tell probes, scrapes and pages while a server is not what it should be."""
    parts, gateway_parts = Container(settings=settings), GatewayContainer(settings=settings)
    gateway, asked_to_stop = Gateway(gateway_parts), asyncio.Event()
    carrying = asyncio.create_task(Daemon(parts, stop_seconds=5).run(asked_to_stop.wait()))
    try:
        await gateway.start()
        told = await why_not_ready(parts.lifecycle(), awaited)
        told += await why_not_ready(gateway_parts.lifecycle(), "Redis at")
        header = bearer(new_user())
        for path, method in (("/position", "GET"), ("/ticket", "POST")):
            status, _, body = await answer_of(settings.gateway.port, path, header, method=method)
            assert status == 503
            told += body.decode()
        async with open_page(settings.gateway.port, "/events?x=planted", header) as page:
            await page.wait_for_bytes(b"event: stale")
            told += page.raw.decode()
    finally:
        asked_to_stop.set()
        await gateway.stop()
        await carrying
    return told + "".join(
        generate_latest(each.telemetry().registry).decode() for each in (parts, gateway_parts)
    )


async def why_not_ready(lifecycle: Lifecycle, awaited: str) -> str:
    """What probes are told, once there is a reason why it waits for a server of this name."""

    def details() -> list[str]:
        return [check.detail for check in lifecycle.health().checks]

    await until(lambda: any(awaited in detail and "): " in detail for detail in details()))
    return "\n".join(details())


async def until(there: Callable[[], bool]) -> None:
    """Let the loop turn until something holds."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            if there():
                return
            await asyncio.sleep(0.01)


def logged(caplog: pytest.LogCaptureFixture, settings: Settings) -> str:
    """All lines with their tracebacks: ours as they are, those of libraries as our programs write them."""
    plain, masking = logging.Formatter(), formatter(console=False, secrets=secrets_of(settings))
    return "\n".join(
        plain.format(record) + str(record.__dict__)
        if record.name.startswith("eventbridge")
        else masking.format(record)
        for record in caplog.records
    )
