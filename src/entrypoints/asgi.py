"""The gateway for other people's web applications: one that mounts into FastAPI, Starlette or any other."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from prometheus_client import CollectorRegistry
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from ..adapters.telemetry.gateway_metrics import GatewayMetrics
from ..application.gateway_ports import DeliveryTracing
from ..application.health import Check, HealthReport
from ..domain.errors import EventBridgeError
from .gateway_container import GatewayContainer
from .gateway_settings import check_gateway
from .gateway_work import GatewayWork
from .overheard_signals import overheard
from .settings import Settings
from .settings_loading import LoadedSettings

log = logging.getLogger(__name__)


class NotStarted(EventBridgeError, RuntimeError):
    """A request came, and nothing runs that could serve it."""

    def __init__(self) -> None:
        super().__init__("the gateway was not started: enter `lifespan` in the lifespan of the application")


class SseApp:
    """The gateway as an ASGI application; made by `create_sse_app`.

    Streams need what runs behind them, and a mounted application's lifespan is run by nobody: hand
    `lifespan` to the application that this one is mounted in, or enter it in that one's own. Served by
    itself it needs neither. It can be started again after its end.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        registry: CollectorRegistry | None = None,
        tracing: DeliveryTracing | None = None,
        drain_on: Iterable[signal.Signals] = (),
    ) -> None:
        self._settings = settings
        self._metrics = GatewayMetrics(registry)
        self._tracing = tracing
        self._drain_on = tuple(drain_on)
        self._by_itself = Router(lifespan=self.lifespan)
        self._container: GatewayContainer | None = None
        self._work: GatewayWork | None = None
        self._draining: asyncio.Task[None] | None = None
        self._app: ASGIApp | None = None
        self._failed: Exception | None = None

    @property
    def registry(self) -> CollectorRegistry:
        """Where the gateway's metrics are registered."""
        return self._metrics.registry

    def lifespan(self, _app: object = None) -> AbstractAsyncContextManager[None]:
        """Everything that runs behind the streams, as an async context manager and as FastAPI and Starlette
        want their `lifespan`.

        Absent servers are waited for in the background. At its end open streams are told when to come
        again, over `DRAIN_SECONDS` at most.
        """
        return self._run()

    async def drain(self) -> None:
        """End all streams, over `DRAIN_SECONDS` at most, each with a word when to come again; new ones are
        sent away. Begins once, whoever calls. For whoever knows earlier than `lifespan` that it ends."""
        self._begin_to_drain()
        if self._draining is not None:
            await asyncio.shield(self._draining)

    def health(self) -> HealthReport:
        """Whether new pages are to be sent here, and all that was looked at; for an operator's eyes."""
        if self._failed is not None:
            return HealthReport(live=False, ready=False, checks=(Check("start", False, str(self._failed)),))
        if self._container is None:
            return HealthReport(live=True, ready=False, checks=(Check("start", False, "not started"),))
        return self._container.lifecycle().health()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises `NotStarted`."""
        if scope["type"] == "lifespan":
            await self._by_itself(scope, receive, send)
        elif self._app is None:
            raise NotStarted
        else:
            await self._app(scope, receive, send)

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[None]:
        if self._container is not None:
            raise RuntimeError("the gateway runs already")
        if self._settings.gateway.auth == "none":
            log.warning("NO AUTHENTICATION (gateway.auth is none): this machine reads any user's events")
        self._container = container = GatewayContainer(settings=self._settings)
        container.telemetry.override(self._metrics)
        container.tracing.override(self._tracing)
        self._failed = None
        self._work = work = GatewayWork(container)
        await work.start()
        watching = asyncio.create_task(self._watch(work), name="gateway-failure")
        self._app = container.app()
        try:
            with overheard(self._drain_on, self._begin_to_drain):
                yield
            await self.drain()
        finally:
            watching.cancel()
            if self._draining is not None:
                self._draining.cancel()
            self._app = self._container = self._work = self._draining = None
            await work.stop()

    def _begin_to_drain(self) -> None:
        if self._work is not None and self._draining is None:
            self._draining = asyncio.create_task(self._work.drain(), name="gateway-drain")

    async def _watch(self, work: GatewayWork) -> None:
        try:
            await work.failure()
        except Exception as error:
            self._failed = error
            log.critical("the gateway cannot go on: %s", error, exc_info=error)


def create_sse_app(
    settings: Settings,
    *,
    registry: CollectorRegistry | None = None,
    tracing: DeliveryTracing | None = None,
    drain_on: Iterable[signal.Signals] = (),
) -> SseApp:
    """The gateway, to be mounted anywhere in another ASGI application, or served by itself.

    Of `settings` the groups `gateway` (without `host` and `port`) and `redis` count. `registry` takes the
    metrics, such as prometheus-client's own `REGISTRY`; else they have one for themselves. `tracing` gets
    the spans of deliveries: `DeliverySpans(tracer)` of `eventbridge.adapters.telemetry.delivery_spans`.
    `drain_on`: signals at which the streams begin to end, beside what the server does with them; for servers
    that end the lifespan only when no connection is left, which is as long as a stream lasts.
    Nothing is connected before `SseApp.lifespan` is entered. Raises `WrongSettings` with all mistakes.
    """
    check_gateway(LoadedSettings(settings, {}))
    return SseApp(settings, registry=registry, tracing=tracing, drain_on=drain_on)
