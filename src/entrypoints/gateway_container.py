"""The gateway's composition root: which adapter stands behind each of its ports. Nothing is connected before
it is asked for, and nothing runs before `Gateway` starts it."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dependency_injector import containers, providers
from starlette.types import ASGIApp

from ..adapters.http.demo_page import DemoStage, demo_page_routes
from ..adapters.http.demo_stream import CutEndpoint, TimesEndpoint
from ..adapters.http.embedded_server import EmbeddedServer
from ..adapters.http.gateway_app import GatewayApp, gateway_routes
from ..adapters.http.gateway_endpoints import (
    DocumentEndpoint,
    HealthEndpoint,
    PositionEndpoint,
    StreamEnd,
    TicketEndpoint,
)
from ..adapters.http.gateway_requests import Identities
from ..adapters.http.gateway_tuning import gateway_tuning
from ..adapters.http.health_server import HealthServer
from ..adapters.http.openapi import openapi_document
from ..adapters.http.sse_endpoint import SseEndpoint
from ..adapters.jwt.tokens import JwtTokens
from ..adapters.redis.connect import connect
from ..adapters.redis.event_feed import RedisEventFeed
from ..adapters.redis.leases import RedisLeases
from ..adapters.redis.revocations import RedisRevocations
from ..adapters.redis.shard_servers import RedisShardServers
from ..adapters.redis.tickets import RedisTickets
from ..adapters.system_clock import SystemClock
from ..adapters.telemetry.gateway_metrics import GatewayMetrics
from ..application.admission import Admission
from ..application.authentication import Authentication
from ..application.cause_log import CauseLog
from ..application.comeback import Comeback
from ..application.gateway_ports import DeliveryTracing, EventFeed, Revocations, Tickets
from ..application.live_hub import LiveHub
from ..application.open_streams import OpenStreams
from ..application.ports import Clock
from ..application.store_watch import StoreWatch
from ..application.unverified_users import UnverifiedUsers
from ..domain.origins import Origins
from ..domain.routing import user
from . import adapter_settings, gateway_settings
from .lifecycle import Lifecycle
from .settings import Settings

if TYPE_CHECKING:
    from ..adapters.telemetry.otlp import OtlpTraces

NOBODY = user("00000000-0000-0000-0000-000000000000")
"""Whose stream is read to see whether streams can be read."""


class NoKeys:
    """Stands for the keys of tokens where no tokens are verified."""

    ready = True

    async def run(self) -> None:
        """Nothing is fetched."""


def _tokens(settings: Settings, clock: Clock, causes: CauseLog) -> JwtTokens | NoKeys:
    if settings.gateway.auth == "none":
        return NoKeys()
    return JwtTokens.build(gateway_settings.jwt_settings(settings.gateway), clock, causes)


def _identities(
    tokens: JwtTokens | NoKeys, tickets: Tickets, revocations: Revocations, origins: Origins
) -> Identities:
    if isinstance(tokens, NoKeys):
        return UnverifiedUsers()
    return Authentication(tokens, tickets, revocations, origins)


def _app(
    settings: Settings,
    *,
    identities: Identities,
    origins: Origins,
    feed: EventFeed,
    tickets: Tickets,
    lifecycle: Lifecycle,
    events: SseEndpoint,
    causes: CauseLog,
    more_routes: Mapping[tuple[str, str], ASGIApp],
) -> GatewayApp:
    end = StreamEnd(feed)
    routes = gateway_routes(
        {
            ("GET", "/events"): events,
            ("GET", "/position"): PositionEndpoint(identities, origins, end),
            ("POST", "/ticket"): TicketEndpoint(identities, origins, end, tickets),
            ("GET", "/health/live"): HealthEndpoint("live", lambda: lifecycle.health().live),
            ("GET", "/health/ready"): HealthEndpoint("ready", lambda: lifecycle.health().ready),
            ("GET", "/openapi.json"): DocumentEndpoint(openapi_document()),
            **more_routes,
        }
    )
    return GatewayApp(routes, origins, causes, near_only=settings.gateway.auth == "none")


def _comeback(feed: EventFeed) -> Comeback:
    return Comeback(lambda: feed.read_last(NOBODY, 1))


def _tracing(traces: "OtlpTraces | None") -> DeliveryTracing | None:
    return None if traces is None else traces.delivering()


class GatewayContainer(containers.DeclarativeContainer):
    """Everything that serves streams, made from `settings`."""

    settings = providers.Dependency(instance_of=Settings)

    clock = providers.Singleton(SystemClock)
    lifecycle = providers.Singleton(Lifecycle, clock)
    telemetry = providers.Singleton(GatewayMetrics)
    health_server = providers.Singleton(
        HealthServer,
        settings.provided.telemetry.metrics_host,
        settings.provided.telemetry.metrics_port,
        lifecycle.provided.health,
        telemetry.provided.registry,
    )
    traces: "providers.Provider[OtlpTraces | None]" = providers.Object(None)
    """The process's, given by whoever opens and closes them."""
    tracing = providers.Callable(_tracing, traces)
    causes = providers.Singleton(CauseLog, logging.getLogger(GatewayApp.__module__), clock)

    redis_settings = providers.Singleton(adapter_settings.redis_settings, settings)
    redis_place = providers.Callable(adapter_settings.redis_place, settings)
    link = providers.Singleton(connect, redis_settings)
    feed = providers.Singleton(RedisEventFeed, redis_settings, link)
    leases = providers.Singleton(RedisLeases, link)
    tickets = providers.Singleton(RedisTickets, link)
    revocations = providers.Singleton(RedisRevocations, link)

    origins = providers.Singleton(gateway_settings.origins, settings)
    tokens = providers.Singleton(_tokens, settings, clock, causes)
    identities = providers.Singleton(_identities, tokens, tickets, revocations, origins)
    admission = providers.Singleton(
        Admission, providers.Singleton(gateway_settings.admission_limits, settings), leases, telemetry, clock
    )
    open_streams = providers.Singleton(
        OpenStreams,
        revocations,
        clock,
        max_age_seconds=settings.provided.gateway.max_age_seconds,
        send_timeout_seconds=settings.provided.gateway.send_timeout_seconds,
    )
    hub = providers.Singleton(
        LiveHub,
        feed,
        telemetry,
        clock,
        providers.Singleton(gateway_settings.hub_settings, settings),
        tracing=tracing,
    )
    comeback = providers.Singleton(_comeback, feed)
    shard_servers = providers.Singleton(RedisShardServers, link, redis_settings.provided.shard_count)
    store_watch = providers.Singleton(
        StoreWatch, shard_servers.provided.unreachable, clock, redis_settings.provided.shard_count
    )
    events = providers.Singleton(
        SseEndpoint,
        hub=hub,
        streams=open_streams,
        admission=admission,
        identities=identities,
        origins=origins,
        comeback=comeback,
        metrics=telemetry,
        clock=clock,
        serving=providers.Singleton(gateway_settings.stream_serving, settings),
    )
    more_routes: providers.Provider[Mapping[tuple[str, str], ASGIApp]] = providers.Object({})
    """By method and path, beside the gateway's own; the demo's page is one that may be served, too."""
    app = providers.Singleton(
        _app,
        settings,
        identities=identities,
        origins=origins,
        feed=feed,
        tickets=tickets,
        lifecycle=lifecycle,
        events=events,
        causes=causes,
        more_routes=more_routes,
    )
    server = providers.Singleton(
        EmbeddedServer,
        app,
        settings.provided.gateway.host,
        settings.provided.gateway.port,
        tuning=providers.Singleton(gateway_tuning, settings.provided.gateway.send_timeout_seconds),
    )

    background = providers.List(
        hub.provided.run, open_streams.provided.run, tokens.provided.run, store_watch.provided.run
    )
    """What has to run while streams are served."""
    closing = providers.List(
        comeback.provided.close,
        feed.provided.close,
        revocations.provided.close,
        link.provided.close,
    )
    """What has to be closed at the end, in this order."""


def show_demo_page(container: GatewayContainer, stage: DemoStage | None = None) -> None:
    """Have the demo's page served, too. Only where users are whoever they say they are (`AUTH=none`): it may
    cut anybody's connections."""
    container.more_routes.override(
        providers.Singleton(
            demo_page_routes,
            stage,
            times=providers.Singleton(TimesEndpoint, container.identities, container.feed),
            cut=providers.Singleton(
                CutEndpoint, container.identities, container.open_streams.provided.cut_user
            ),
        )
    )
