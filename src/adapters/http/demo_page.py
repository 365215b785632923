"""The demo's page: a person watches a stream arrive, breaks things, and sees that nothing is missed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ...domain.problem import BadRequest, Problem
from ...domain.request_parts import header_values, one_value, parse_query
from .problem_documents import send_problem
from .whole_answers import send_body, send_json

MOST_SENT: Final = 500
"""Events that one answer of `/demo/stage` tells of."""

_FILES: Final = {
    "/": ("demo.html", "text/html; charset=utf-8"),
    "/ages.js": ("ages.js", "text/javascript; charset=utf-8"),
    "/demo.css": ("demo.css", "text/css; charset=utf-8"),
    "/demo.js": ("demo.js", "text/javascript; charset=utf-8"),
    "/plot.js": ("plot.js", "text/javascript; charset=utf-8"),
    "/proof.js": ("proof.js", "text/javascript; charset=utf-8"),
}

_POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_HEADERS: Final = ((b"content-security-policy", _POLICY), (b"referrer-policy", b"no-referrer"))

_FOREIGN: Final = Problem(403, "Only the demo's own page may do this.")


class SentEvent(msgspec.Struct, frozen=True, array_like=True):
    """An event that its user's page is to see."""

    event_id: str
    session_id: str


class StageUser(msgspec.Struct, frozen=True):
    """A user whose stream can be watched."""

    id: str
    name: str


class StageAction(msgspec.Struct, frozen=True):
    """A button of the page."""

    name: str
    label: str
    """On the button, such as `Stop Redis`."""
    possible: bool = True
    """False while it is being done; the button stays."""


class DemoStage(Protocol):
    """What is played behind the page, as far as it shows that. Asked twice a second by each page; nothing
    but `act` may take time."""

    def users(self) -> Sequence[StageUser]:
        """Whose streams there are."""

    def produced(self, user_id: str) -> int:
        """How many events were produced for the user's page so far."""

    def sent(self, user_id: str, after: int, limit: int) -> tuple[int, Sequence[SentEvent]]:
        """At most `limit` of them, in order, after the first `after`; and how many came before these: more
        than `after` where some are not remembered any more."""

    def conditions(self) -> Mapping[str, str]:
        """`redis` and `bridge` (`runs`, or in words what it does instead), `circuit` (`closed` is the good
        one) and `starting` (what is waited for before the first event, or nothing)."""

    def actions(self) -> Sequence[StageAction]:
        """The buttons, each always at the same place; none, and the page has no such buttons."""

    async def act(self, action: str) -> bool:
        """Do it; False where there is no such action now."""


def demo_page_routes(
    stage: DemoStage | None = None, *, times: ASGIApp, cut: ASGIApp
) -> dict[tuple[str, str], ASGIApp]:
    """Endpoints by method and path, beside the gateway's: `/`, what the page loads and what it asks.

    With a stage, `/demo/stage` and `/demo/actions/{name}` too; without one the page asks for a user's id and
    shows neither what was produced nor buttons for the servers.
    """
    pages = Path(__file__).with_name("pages")
    routes: dict[tuple[str, str], ASGIApp] = {
        ("GET", path): _File((pages / name).read_bytes(), media_type)
        for path, (name, media_type) in _FILES.items()
    }
    routes["GET", "/demo/times"] = times
    routes["POST", "/demo/cut"] = _FromThePage(cut)
    if stage is not None:
        routes["GET", "/demo/stage"] = _Stage(stage)
        routes["POST", "/demo/actions/{name}"] = _FromThePage(_Actions(stage))
    return routes


class _File:
    def __init__(self, body: bytes, media_type: str) -> None:
        self._body = body
        self._media_type = media_type

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send_body(send, 200, self._media_type, self._body, _HEADERS)


class _Stage:
    """`GET /demo/stage`: how things stand; for `?user=` what was produced after the first `?after=N`."""

    def __init__(self, stage: DemoStage) -> None:
        self._stage = stage

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        query = parse_query(scope["query_string"])
        user_id, after = one_value(query, "user"), one_value(query, "after") or "0"
        if not (after.isascii() and after.isdigit() and len(after) < 10):
            raise BadRequest("`after` must be a whole number.", "after")
        users = self._stage.users()
        before: int = int(after)
        sent: Sequence[SentEvent] = ()
        if user_id is not None and any(user.id == user_id for user in users):
            before, sent = self._stage.sent(user_id, before, MOST_SENT)
        answer = {
            **self._stage.conditions(),
            "users": users,
            "totals": {user.id: self._stage.produced(user.id) for user in users},
            "before": before,
            "sent": sent,
            "actions": self._stage.actions(),
        }
        await send_json(send, 200, answer, ())


class _FromThePage:
    """Refuses what does not come from the page itself: any page of the browser could post here."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if header_values(scope["headers"], b"sec-fetch-site") == [b"same-origin"]:
            await self._app(scope, receive, send)
        else:
            await send_problem(send, _FOREIGN, ())


class _Actions:
    """`POST /demo/actions/{name}`."""

    def __init__(self, stage: DemoStage) -> None:
        self._stage = stage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        done = await self._stage.act(Request(scope, receive).path_params["name"])
        await send_json(send, 200 if done else 404, {"done": done}, ())
