"""What holds for every request to the gateway: routes, problems, CORS, limits; and its short answers."""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from eventbridge.adapters.http.gateway_app import GatewayApp, gateway_routes
from eventbridge.adapters.http.gateway_endpoints import (
    DocumentEndpoint,
    HealthEndpoint,
    PositionEndpoint,
    StreamEnd,
    TicketEndpoint,
)
from eventbridge.adapters.http.gateway_requests import address_of
from eventbridge.adapters.http.openapi import openapi_document
from eventbridge.adapters.memory.clock import ManualClock
from eventbridge.application.cause_log import CauseLog
from eventbridge.application.errors import (
    ForbiddenOrigin,
    KeysUnavailable,
    Revoked,
    SinkMisconfigured,
    SinkUnavailable,
    Unauthorized,
)
from eventbridge.application.gateway_ports import FeedPage, Hear, Identity, LiveNews, StreamEnds
from eventbridge.application.turnstile import AT_ONCE
from eventbridge.application.unverified_users import UnverifiedUsers
from eventbridge.domain.client_address import trusted_networks
from eventbridge.domain.continuity import StreamView
from eventbridge.domain.origins import Origins
from eventbridge.domain.position import StreamId
from eventbridge.domain.problem import BadRequest
from eventbridge.domain.request_parts import Headers, Query
from eventbridge.domain.routing import Target

ANN = "3f2b8c1e-0000-4000-8000-00000000000a"
PAGE = b"https://app.example"


class Visitors:
    """Whoever asks is Ann, unless the test says what is wrong with her."""

    def __init__(self) -> None:
        self.wrong: Exception | None = None

    async def identify(self, headers: Headers, query: Query) -> Identity:
        if self.wrong is not None:
            raise self.wrong
        return Identity(ANN, 4_000_000_000, "token-1")


class Feed:
    """The `EventFeed` port: every stream ends at the same entry."""

    shards = 8

    async def read(self, target: Target, after: StreamId | None, count: int) -> FeedPage:
        raise NotImplementedError

    async def read_last(self, target: Target, count: int) -> FeedPage:
        assert target.id == ANN
        last = StreamId(1_700_000_000_000, 3)
        view = StreamView("abcdefgh", 1, 1_700_000_000_500, last, StreamId(0, 0), last, False, 86_400_000, 1)
        return FeedPage(view, ())

    async def ends(self, shard: int, targets: Sequence[Target]) -> StreamEnds:
        raise NotImplementedError

    async def live(self, hear: Hear[LiveNews]) -> None:
        raise NotImplementedError

    async def watch(self, shard: int) -> None: ...

    async def unwatch(self, shard: int) -> None: ...


class Drawer:
    """The `Tickets` port: one ticket."""

    async def issue(self, user_id: str, expires_at: int, token_id: str | None) -> str:
        assert (user_id, expires_at, token_id) == (ANN, 4_000_000_000, "token-1")
        return "one-time"

    async def redeem(self, ticket: str) -> Identity | None:
        raise NotImplementedError


class Answer:
    def __init__(self) -> None:
        self.status = 0
        self.lines: list[tuple[str, str]] = []
        self.body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.lines = [(name.decode(), value.decode()) for name, value in message["headers"]]
        else:
            self.body += message["body"]

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.lines)

    def json(self) -> Any:
        return json.loads(self.body)


async def no_more() -> Message:
    return {"type": "http.disconnect"}


class Breaks:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("nobody was prepared for this")


class Site:
    """The gateway without its streams."""

    def __init__(self, *, near_only: bool = False) -> None:
        self.visitors = Visitors()
        self.ready = True
        origins = Origins.parse([PAGE.decode()])
        end = StreamEnd(Feed())
        routes = gateway_routes(
            {
                ("GET", "/position"): PositionEndpoint(self.visitors, origins, end),
                ("POST", "/ticket"): TicketEndpoint(self.visitors, origins, end, Drawer()),
                ("GET", "/health/ready"): HealthEndpoint("ready", lambda: self.ready),
                ("GET", "/openapi.json"): DocumentEndpoint(openapi_document()),
                ("GET", "/breaks"): Breaks(),
            }
        )
        causes = CauseLog(logging.getLogger("gateway-under-test"), ManualClock())
        self.app = GatewayApp(routes, origins, causes, near_only=near_only)

    async def ask(
        self,
        path: str,
        method: str = "GET",
        headers: Mapping[bytes, bytes] | None = None,
        query: bytes = b"",
        client: tuple[str, int] | None = ("127.0.0.1", 4711),
    ) -> Answer:
        answer = Answer()
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query,
            "headers": list((headers or {}).items()),
            "client": client,
        }
        await self.app(scope, no_more, answer.send)
        return answer


@pytest.fixture
def site() -> Site:
    return Site()


async def test_a_position_is_where_the_stream_ends(site: Site) -> None:
    answer = await site.ask("/position")

    assert answer.status == 200
    assert answer.json() == {"position": "abcdefgh.1700000000000-3"}
    assert answer.headers["cache-control"] == "no-store"


async def test_a_ticket_comes_with_its_life_and_the_position(site: Site) -> None:
    answer = await site.ask("/ticket", "POST")

    assert answer.status == 200
    assert answer.json() == {
        "ticket": "one-time",
        "expires_in": 30,
        "position": "abcdefgh.1700000000000-3",
    }


@pytest.mark.parametrize(
    ("client", "host", "status"),
    [
        ("127.0.0.1", b"localhost:8080", 200),
        ("::1", b"[::1]:8080", 200),
        ("127.0.0.1", b"127.0.0.1", 200),
        ("192.0.2.7", b"localhost", 403),
        (None, b"localhost", 403),
        # A page of another site whose name was made to lead here (DNS rebinding).
        ("127.0.0.1", b"evil.example:8080", 403),
        ("127.0.0.1", b"localhost.evil.example", 403),
        ("127.0.0.1", b"[::1", 403),
        ("127.0.0.1", None, 403),
    ],
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_without_authentication_only_this_machine_and_pages_of_its_own_are_served(
    client: str | None, host: bytes | None, status: int, method: str
) -> None:
    site = Site(near_only=True)

    answer = await site.ask(
        "/position",
        method,
        {} if host is None else {b"host": host},
        client=None if client is None else (client, 4711),
    )

    assert answer.status == (204 if (status, method) == (200, "OPTIONS") else status)


async def test_that_the_store_refuses_what_requests_need_is_said_once(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.visitors.wrong = SinkMisconfigured("rights", "NOPERM")

    for _ in range(10):
        await site.ask("/position")

    assert caplog.messages == ["requests are answered with 503: the sink refuses us (rights): NOPERM"]


@pytest.mark.parametrize("ready", [True, False])
async def test_probes_are_told_without_reasons(site: Site, ready: bool) -> None:
    site.ready = ready

    answer = await site.ask("/health/ready")

    assert answer.status == (200 if ready else 503)
    assert answer.json() == {"ready": ready}


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        (Unauthorized("it has expired"), 401),
        (KeysUnavailable(), 503),
        (ForbiddenOrigin(), 403),
        (BadRequest("Give a number.", "last"), 400),
        (SinkUnavailable("connection", "redis-7.internal:6379"), 503),
        (SinkMisconfigured("authentication", "user eventbridge"), 503),
    ],
)
async def test_what_is_wrong_is_a_problem_document(site: Site, wrong: Exception, status: int) -> None:
    site.visitors.wrong = wrong

    answer = await site.ask("/position", headers={b"origin": PAGE})

    problem = answer.json()
    assert answer.status == problem["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert problem["detail"]
    assert answer.headers["access-control-allow-origin"] == PAGE.decode()
    assert "redis-7" not in answer.body.decode()
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert ("retry-after" in answer.headers) == (status == 503)


async def test_a_wrong_parameter_is_named(site: Site) -> None:
    answer = await site.ask("/position", query=b"&".join([b"a=1"] * 40))

    assert answer.status == 400
    assert "32 parameters" in answer.json()["detail"]


async def test_who_was_revoked_is_told_to_stop(site: Site) -> None:
    site.visitors.wrong = Revoked()

    answer = await site.ask("/position", headers={b"origin": PAGE})

    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == PAGE.decode()


async def test_an_unforeseen_error_says_nothing_to_the_page_and_all_to_the_log(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    answers = [await site.ask("/breaks") for _ in range(3)]

    assert {answer.status for answer in answers} == {500}
    assert "prepared" not in answers[0].body.decode()
    (record,) = caplog.records
    assert "nobody was prepared for this" in record.__dict__["exception"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/position/", 404),
        ("POST", "/position", 405),
        ("HEAD", "/position", 405),
        ("GET", "/ticket", 405),
        ("BREW", "/ticket", 405),
    ],
)
async def test_what_is_not_there_is_a_problem_document(
    site: Site, method: str, path: str, status: int
) -> None:
    answer = await site.ask(path, method)

    assert answer.status == answer.json()["status"] == status
    assert ("allow" in answer.headers) == (status == 405)


async def test_a_preflight_of_a_known_page_is_permitted_and_of_a_foreign_one_is_not(site: Site) -> None:
    known = await site.ask("/ticket", "OPTIONS", {b"origin": PAGE})
    foreign = await site.ask("/ticket", "OPTIONS", {b"origin": b"https://evil.example"})

    assert known.status == foreign.status == 204
    assert known.headers["access-control-allow-origin"] == PAGE.decode()
    assert "authorization" in known.headers["access-control-allow-headers"]
    assert "access-control-allow-origin" not in foreign.headers
    assert known.headers["vary"] == foreign.headers["vary"] == "Origin"


@pytest.mark.parametrize("part", ["headers", "query"])
async def test_a_head_that_is_too_large_is_431_however_it_came(site: Site, part: str) -> None:
    if part == "headers":
        answer = await site.ask("/position", headers={b"cookie": b"x" * 8192})
    else:
        answer = await site.ask("/position", query=b"ticket=" + b"x" * 8192)

    assert answer.status == answer.json()["status"] == 431


async def test_a_crowd_of_requests_is_let_in_a_few_in_each_turn_of_the_loop(site: Site) -> None:
    asked = [asyncio.create_task(site.ask("/health/ready")) for _ in range(3 * AT_ONCE)]

    answered = [0]
    while answered[-1] < len(asked):
        await asyncio.sleep(0)
        answered.append(sum(task.done() for task in asked))

    assert max(later - before for before, later in pairwise(answered)) == AT_ONCE


async def test_a_websocket_is_refused(site: Site) -> None:
    answers: list[Message] = []

    async def send(message: Message) -> None:
        answers.append(message)

    await site.app({"type": "websocket", "path": "/events", "root_path": "", "headers": []}, no_more, send)

    assert [message["type"] for message in answers] == ["websocket.close"]


async def test_without_authentication_the_user_is_whoever_is_named() -> None:
    users = UnverifiedUsers()

    ann = await users.identify([], {"user": [ANN.upper()]})

    assert ann.user_id == ANN
    for query in ({}, {"user": ["ann"]}, {"user": [ANN, ANN]}):
        with pytest.raises(BadRequest):
            await users.identify([], query)


def test_the_address_is_the_clients_only_where_the_proxy_is_trusted() -> None:
    scope = {"client": ("10.0.0.1", 4711), "headers": [(b"x-forwarded-for", b"192.0.2.7")]}

    assert address_of(scope, ()) == "10.0.0.1"
    assert address_of(scope, trusted_networks(["10.0.0.0/8"])) == "192.0.2.7"
    assert address_of({"client": None, "headers": []}, ()) == "unknown"
