"""FAULTS 51: whatever a server does with the secrets that it is sent, nobody reads them with us."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from eventbridge.adapters.telemetry.log_lines import formatter
from eventbridge.entrypoints.adapter_settings import secrets_of
from eventbridge.entrypoints.cli import main
from eventbridge.entrypoints.container import Container
from eventbridge.entrypoints.daemon import Daemon
from eventbridge.entrypoints.gateway import Gateway
from eventbridge.entrypoints.gateway_container import GatewayContainer
from eventbridge.entrypoints.lifecycle import Lifecycle
from eventbridge.entrypoints.settings import Settings
from tests.integration.entrypoints.processes import LIMIT_SECONDS
from tests.integration.gateway.running import AUDIENCE, KEY, bearer, new_user
from tests.integration.gateway.sse_client import answer_of, open_page
from tests.servers.hostile import REDIS, Answer, HostileServer, refuse_login_to_kafka
from tests.servers.process import free_port

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


LOGINS: dict[str, dict[str, str]] = {
    "PLAIN": {"sasl_mechanism": "PLAIN", "sasl_username": "u", "sasl_password": SECRET},
    "OAUTHBEARER": {"sasl_mechanism": "OAUTHBEARER"},
}


@pytest.mark.parametrize("login", LOGINS.values(), ids=LOGINS.keys())
@pytest.mark.parametrize("answer", [refuse_login_to_kafka, REDIS["an echo"], REDIS["nothing"]])
def test_no_secret_of_kafka_is_repeated_whatever_answers(
    answer: Answer, login: dict[str, str], said: Said, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    token = tmp_path / "token"
    token.write_text("hunter2-planted")
    with HostileServer(answer) as server:
        kafka = {
            **login,
            "bootstrap_servers": f"127.0.0.1:{server.port}",
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_allow_plaintext_password": "true",
            "sasl_oauth_token_file": str(token),
        }
        variables = {f"KAFKA__{name.upper()}": value for name, value in kafka.items()}
        absent = {"REDIS__URL": "redis://127.0.0.1:1"}
        commands = said(variables | absent, ("check",), ("produce", "--count", "1"))
        settings = settings_with(kafka=kafka, redis={"url": "redis://127.0.0.1:1"})
        programs = asyncio.run(told_by_programs(settings, "Kafka at"))

    everything = commands + programs + logged(caplog, settings)
    assert [part for part in PARTS if part in everything] == []
    assert "waiting for Kafka at" in programs


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
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            details = [check.detail for check in lifecycle.health().checks]
            if any(awaited in detail and "): " in detail for detail in details):
                return "\n".join(details)
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
