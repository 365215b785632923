"""Health and metrics over HTTP, for probes, scrapes and people."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

import msgspec
from prometheus_client import CollectorRegistry, make_asgi_app
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ...application.health import HealthReport
from ..telemetry.masking import Masking
from .embedded_server import EmbeddedServer
from .loop_watch import LoopWatch


class HealthServer:
    """`/health/live`, `/health/ready`, `/health` (JSON; 200 or 503) and `/metrics` (Prometheus, OpenMetrics).

    `health` is asked at each request and must answer at once; to its report comes the check of the event
    loop by `loop_watch`, which starts and stops with the server and registers with `registry`.
    """

    def __init__(
        self,
        host: str,
        port: int,
        health: Callable[[], HealthReport],
        registry: CollectorRegistry,
        loop_watch: LoopWatch | None = None,
    ) -> None:
        self._health = health
        self._masking = Masking()
        self._loop_watch = LoopWatch() if loop_watch is None else loop_watch
        registry.register(self._loop_watch)
        app = Starlette(
            routes=[
                Route("/health/live", self._answer_live),
                Route("/health/ready", self._answer_ready),
                Route("/health", self._answer_health),
                Route("/metrics", _Metrics(registry), methods=["GET"]),
            ]
        )
        self._server = EmbeddedServer(app, host, port)

    @property
    def port(self) -> int:
        """The port listened on; before `start` the one asked for."""
        return self._server.port

    async def start(self) -> None:
        """Return when connections are taken. Raises `AddressUnavailable`."""
        await self._server.start()
        self._loop_watch.start()

    async def stop(self) -> None:
        """Close, within a few seconds. May be called twice."""
        self._loop_watch.stop()
        await self._server.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def report(self) -> HealthReport:
        """What `/health` shows: the given report, and whether the loop turns."""
        given = self._health()
        loop = self._loop_watch.check()
        checks = tuple(
            check._replace(detail=self._masking.text(check.detail)) for check in (*given.checks, loop)
        )
        live = given.live and loop.ok
        return HealthReport(live=live, ready=live and given.ready, checks=checks)

    async def _answer_live(self, _request: Request) -> Response:
        report = self.report()
        return _json(report.live, {"live": report.live, "reasons": [] if report.live else _reasons(report)})

    async def _answer_ready(self, _request: Request) -> Response:
        report = self.report()
        return _json(report.ready, {"ready": report.ready, "reasons": _reasons(report)})

    async def _answer_health(self, _request: Request) -> Response:
        report = self.report()
        checks = [check._asdict() for check in report.checks]
        return _json(report.ready, {"live": report.live, "ready": report.ready, "checks": checks})


class _Metrics:
    """prometheus-client's application as an object: functions are another kind of endpoint to Starlette."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._app = make_asgi_app(registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def _reasons(report: HealthReport) -> list[str]:
    return [f"{check.name}: {check.detail}" for check in report.checks if not check.ok]


def _json(good: bool, body: object) -> Response:
    return Response(
        msgspec.json.encode(body),
        status_code=200 if good else 503,
        media_type="application/json",
        headers={"cache-control": "no-store"},
    )
