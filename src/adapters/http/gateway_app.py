"""The gateway as one ASGI application: its routes, and what holds for every request."""

import contextlib
import logging
import traceback
from collections.abc import Mapping, Sequence
from typing import Final

from starlette.exceptions import HTTPException
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from ...application.cause_log import CauseLog
from ...application.errors import Revoked, SinkMisconfigured, SinkUnavailable
from ...application.turnstile import Turnstile
from ...domain.origins import Origins
from ...domain.problem import Problem
from .connection import ClientGone, sending
from .gateway_requests import is_near
from .problem_documents import UNEXPECTED, problem_of, send_problem
from .request_limits import TOO_LARGE, is_too_large
from .whole_answers import send_empty

_NOT_HERE: Final = Problem(403, "Without authentication only this machine is served, as localhost.")


class GatewayApp:
    """Answers preflights, refuses heads that are too large, and turns errors into problem documents.

    An endpoint raises only before it has begun to answer. For a mount in another ASGI application as well
    as for a server of its own.
    """

    def __init__(
        self, routes: Sequence[Route], origins: Origins, causes: CauseLog, *, near_only: bool = False
    ) -> None:
        """`near_only`: only for this machine, and pages that it was asked for by its own name."""
        self.routes = routes
        self._near_only = near_only
        self._router = Router(routes, redirect_slashes=False)
        self._origins = origins
        self._causes = causes
        self._turnstile = Turnstile()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            # Lifespan events of a server that has them, and the refusal of WebSockets.
            await self._router(scope, receive, send)
            return
        await self._turnstile.passing()
        with contextlib.suppress(ClientGone):
            await self._answer(scope, receive, sending(send))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = scope["headers"]
        try:
            if self._near_only and not is_near(scope):
                await send_problem(send, _NOT_HERE, self._origins.cors(headers))
            elif is_too_large(scope):
                await send_problem(send, TOO_LARGE, self._origins.cors(headers))
            elif scope["method"] == "OPTIONS":
                await send_empty(send, self._origins.preflight(headers))
            else:
                # With it Starlette raises what it would otherwise answer in plain text.
                scope["app"] = self
                await self._router(scope, receive, send)
        except ClientGone:
            raise
        except Revoked:
            await send_empty(send, self._origins.cors(headers))
        except Exception as error:
            problem = problem_of(error)
            if problem is UNEXPECTED:
                self._tell(error)
            elif isinstance(error, SinkUnavailable | SinkMisconfigured):
                self._causes.say("store", logging.WARNING, f"requests are answered with 503: {error}")
            more = _header_lines(error.headers) if isinstance(error, HTTPException) else []
            await send_problem(send, problem, [*self._origins.cors(headers), *more])

    def _tell(self, error: Exception) -> None:
        self._causes.say(
            f"request:{type(error).__name__}",
            logging.ERROR,
            "a request failed for a reason that nothing was prepared for",
            exception="".join(traceback.format_exception(error)),
        )


def gateway_routes(endpoints: Mapping[tuple[str, str], ASGIApp]) -> list[Route]:
    """A route for each method and path; HEAD is not GET here, a stream has no head of its own."""
    routes = []
    for (method, path), endpoint in endpoints.items():
        route = Route(path, endpoint, methods=[method])
        route.methods = {method}
        routes.append(route)
    return routes


def _header_lines(headers: Mapping[str, str] | None) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
