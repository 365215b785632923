"""The gateway's composition root builds every provider, with tokens and without, and connects to nothing."""

import logging
import os
import resource

import pytest
from dependency_injector import providers

from eventbridge.adapters.jwt.tokens import JwtTokens
from eventbridge.adapters.telemetry.delivery_spans import DeliverySpans
from eventbridge.application.authentication import Authentication
from eventbridge.application.unverified_users import UnverifiedUsers
from eventbridge.entrypoints.descriptors import RESERVED, allow_connections
from eventbridge.entrypoints.gateway_container import GatewayContainer
from eventbridge.entrypoints.gateway_settings import (
    admission_limits,
    check_gateway,
    hub_settings,
    stream_serving,
)
from eventbridge.entrypoints.settings import Settings
from eventbridge.entrypoints.settings_errors import WrongSettings
from eventbridge.entrypoints.settings_loading import LoadedSettings
from eventbridge.entrypoints.telemetry import traced

TOKENS: dict[str, object] = {
    "jwt_key": "a shared secret of more than thirty-two bytes",
    "jwt_algorithms": ("HS256",),
    "jwt_audience": "pages",
}


def settings(**gateway: object) -> Settings:
    return Settings.model_validate({"gateway": gateway})


@pytest.mark.parametrize("gateway", [TOKENS, {"auth": "none"}])
async def test_every_provider_is_built(gateway: dict[str, object]) -> None:
    container = GatewayContainer(settings=settings(**gateway))

    things = {name: provider() for name, provider in container.providers.items()}

    untraced = {"traces", "tracing"}  # no collector is named
    assert {name for name, thing in things.items() if thing is None} == untraced
    assert len(things["background"]) == 4
    for close in things["closing"]:
        await close()


async def test_deliveries_are_traced_where_the_process_has_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    container = GatewayContainer(settings=settings(auth="none"))

    async with traced(os.environ) as traces:
        container.traces.override(providers.Object(traces))
        hub = container.hub()

    assert isinstance(hub.tracing, DeliverySpans)


async def test_users_are_whoever_they_say_only_without_authentication() -> None:
    with_tokens = GatewayContainer(settings=settings(**TOKENS))
    without = GatewayContainer(settings=settings(auth="none"))

    assert isinstance(with_tokens.identities(), Authentication)
    assert isinstance(with_tokens.tokens(), JwtTokens)
    assert isinstance(without.identities(), UnverifiedUsers)
    assert without.tokens().ready


def test_the_settings_reach_the_parts_that_they_are_for() -> None:
    given = settings(
        max_connections=1,
        max_connections_per_address=2,
        max_connections_per_user=3,
        connects_per_second=4,
        heartbeat_seconds=5,
        stale_after_seconds=6,
        replay_max_entries=7,
        trusted_proxies=("10.0.0.0/8",),
        auth="none",
    )

    limits, hub, serving = admission_limits(given), hub_settings(given), stream_serving(given)

    assert (limits.connections, limits.per_address, limits.per_user) == (1, 2, 3)
    assert limits.connects_per_second == 4
    assert (hub.heartbeat_seconds, hub.stale_after_seconds, hub.replay_max_entries) == (5, 6, 7)
    assert (serving.heartbeat_seconds, serving.stale_after_seconds, serving.replay_max_entries) == (5, 6, 7)
    assert serving.names_user
    assert [str(network) for network in serving.trusted_proxies] == ["10.0.0.0/8"]


def test_what_is_wrong_is_named_where_it_was_written() -> None:
    given = settings(jwt_key="-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----", jwt_audience="a")
    loaded = LoadedSettings(given, {"gateway.jwt_key": "EVENTBRIDGE__GATEWAY__JWT_KEY"})

    with pytest.raises(WrongSettings) as wrong:
        check_gateway(loaded)

    assert str(wrong.value).startswith("EVENTBRIDGE__GATEWAY__JWT_KEY: cannot be used:")


def test_too_few_descriptors_are_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: limits.append(limit))

    enough, too_few = allow_connections(2000), allow_connections(20_000)

    assert (enough, too_few) == (2000, 4096 - RESERVED)
    assert limits == [(2000 + RESERVED, 4096), (4096, 4096)]
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "gateway.max_connections = 20000" in warning.message


def test_a_sandbox_that_lets_no_limit_be_raised_is_told_and_no_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_number: int, _limits: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 65_536))
    monkeypatch.setattr(resource, "setrlimit", refuse)

    room = allow_connections(20_000)

    assert room == 1024 - RESERVED
    assert caplog.messages == [
        f"the limit of open files (1024) leaves room for {room} of gateway.max_connections = 20000"
    ]
