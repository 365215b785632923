"""Pages over real HTTP and a real Redis: connect, resume, be told of what is lost, and leave."""

import json
from collections.abc import AsyncIterator

import pytest
from redis import Redis

from eventbridge.domain.position import Position, StreamId
from tests.integration.gateway.running import RunningGateway, bearer, new_user, running_gateway
from tests.integration.gateway.sse_client import Page, answer_of, open_page

pytestmark = pytest.mark.usefixtures("either_way")


@pytest.fixture
async def gateway(redis_url: str) -> AsyncIterator[RunningGateway]:
    async with running_gateway(redis_url) as gateway:
        yield gateway


async def numbers(page: Page, count: int) -> list[int]:
    """The next so many numbers that the page shows."""
    return [(await page.next_data())["n"] for _ in range(count)]


async def test_a_page_is_answered_at_once_and_gets_what_comes_from_then_on(
    gateway: RunningGateway, either_way: str
) -> None:
    user = new_user()
    await gateway.publish(user, 1)

    async with open_page(gateway.port, "/events", bearer(user)) as page:
        await page.wait_for(lambda: bool(page.last_event_id))
        await gateway.publish(user, 2, 3)
        shown = await numbers(page, 2)

    assert page.status == 200
    assert page.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-accel-buffering"] == "no"
    assert page.headers["vary"] == "Origin"
    assert page.headers.get("connection") == ("close" if either_way == "handed over" else None)
    assert page.headers.get("transfer-encoding") == (None if either_way == "handed over" else "chunked")
    assert page.raw.startswith(b": ok\n")
    assert page.retry_ms
    assert shown == [2, 3]
    assert {event.type for event in page.events} == {"Test.Numbered"}


async def test_a_page_that_comes_again_misses_nothing(gateway: RunningGateway) -> None:
    user = new_user()
    async with open_page(gateway.port, "/events", bearer(user)) as page:
        await page.wait_for(lambda: bool(page.last_event_id))
        await gateway.publish(user, 1, 2)
        assert await numbers(page, 2) == [1, 2]
    await gateway.until(lambda: gateway.streams == 0)

    await gateway.publish(user, *range(3, 250))
    resuming = {**bearer(user), "Last-Event-ID": page.last_event_id}
    async with open_page(gateway.port, "/events", resuming) as again:
        missed = await numbers(again, 247)
        await gateway.publish(user, 250)
        assert await numbers(again, 1) == [250]

    assert missed == list(range(3, 250))
    assert gateway.counted("gateway_resumes_total", result="continuous") == 1
    assert gateway.counted("gateway_deliveries_total") == 250


async def test_a_first_connect_can_begin_some_entries_back_or_at_a_position(gateway: RunningGateway) -> None:
    user = new_user()
    _, _, body = await answer_of(gateway.port, "/position", bearer(user))
    position = body.split(b'"')[3].decode()
    await gateway.publish(user, 1, 2, 3, 4)

    async with open_page(gateway.port, "/events?last=2", bearer(user)) as back:
        assert await numbers(back, 2) == [3, 4]
    async with open_page(gateway.port, f"/events?last_event_id={position}", bearer(user)) as rendered:
        assert await numbers(rendered, 4) == [1, 2, 3, 4]
    async with open_page(gateway.port, "/events?last=2&event=message", bearer(user)) as plain:
        assert await numbers(plain, 2) == [3, 4]

    assert {event.type for event in plain.events} == {"message"}


async def test_nobody_gets_anybody_elses_events(gateway: RunningGateway) -> None:
    ann, bob = new_user(), new_user()
    position_of_bob = await gateway.publish(bob, 1, 2)
    await gateway.publish(ann, 11)

    headers = {**bearer(ann), "Last-Event-ID": position_of_bob}
    async with open_page(gateway.port, "/events", headers) as page:
        first = await page.next_event()
        await gateway.publish(bob, 3)
        await gateway.publish(ann, 12)
        shown = await numbers(page, 2)

    assert first.type == "reset"
    assert shown == [11, 12]


async def kept(gateway: RunningGateway, user: str, count: int) -> list[str]:
    return [await gateway.publish(user, number) for number in range(1, count + 1)]


@pytest.mark.parametrize(
    ("cursor", "reason"),
    [
        ("0-0", "invalid"),
        ("-5", "invalid"),
        ("%00%ff", "invalid"),
        ("\xff\xfe\x00binary", "invalid"),
        ("{epoch}.0-0", "invalid"),
        ("{epoch}.18446744073709551616-0", "invalid"),
        ("{epoch}.99999999999999999999999-1", "invalid"),
        ("{epoch}.18446744073709551615-18446744073709551615", "invalid"),
        ("{epoch}.01-1", "invalid"),
        ("oldepoch.1700000000000-0", "epoch"),
        ("{epoch}.1000-0", "expired"),
        ("x" * 4000, "invalid"),
    ],
)
async def test_a_cursor_that_proves_nothing_is_a_reset_and_everything_kept(
    gateway: RunningGateway, cursor: str, reason: str
) -> None:
    user = new_user()
    *_, last = await kept(gateway, user, 3)
    epoch = Position.parse(last).epoch

    headers = {**bearer(user), "Last-Event-ID": cursor.format(epoch=epoch).replace("\x00", "?")}
    async with open_page(gateway.port, "/events", headers) as page:
        reset = await page.next_data()
        shown = await numbers(page, 3)

    assert page.status == 200
    assert reset["reason"] == reason
    assert Position.parse(reset["position"]).epoch == epoch
    assert shown == [1, 2, 3]
    assert gateway.counted("gateway_resumes_total", result=reason) == 1


async def test_a_trimmed_stream_is_a_reset_only_where_something_is_missing(
    gateway: RunningGateway, redis_url: str
) -> None:
    user = new_user()
    positions = await kept(gateway, user, 6)
    with Redis.from_url(redis_url) as client:
        (key,) = client.keys(f"eb:*user:{user}")
        client.xtrim(key, minid=str(Position.parse(positions[3]).id), approximate=False)

    async with open_page(
        gateway.port, "/events", {**bearer(user), "Last-Event-ID": positions[2]}
    ) as at_the_edge:
        exact = await numbers(at_the_edge, 3)
    async with open_page(gateway.port, "/events", {**bearer(user), "Last-Event-ID": positions[1]}) as behind:
        reset = await behind.next_data()
        rest = await numbers(behind, 3)

    assert exact == rest == [4, 5, 6]
    assert [event.type for event in at_the_edge.events] == ["Test.Numbered"] * 3
    assert reset == {"reason": "trimmed", "position": positions[2]}


async def test_a_replay_over_the_limit_is_a_reset_and_the_latest_events(redis_url: str) -> None:
    user = new_user()
    async with running_gateway(redis_url, replay_max_entries=5) as gateway:
        positions = await kept(gateway, user, 12)
        async with open_page(
            gateway.port, "/events", {**bearer(user), "Last-Event-ID": positions[0]}
        ) as page:
            reset = await page.next_data()
            shown = await numbers(page, 5)

    assert reset == {"reason": "replay_limit", "position": positions[6]}
    assert shown == [8, 9, 10, 11, 12]


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/events?last=-1", "last"),
        ("/events?last=1001", "last"),
        ("/events?last=1&last_event_id=aaaaaaaa.1-1", "last"),
        ("/events?event=other", "event"),
        (f"/events?user={new_user()}", "user"),
    ],
)
async def test_a_wrong_parameter_is_400_and_named(gateway: RunningGateway, path: str, parameter: str) -> None:
    status, headers, body = await answer_of(gateway.port, path, bearer(new_user()))

    assert status == 400
    assert headers["content-type"] == "application/problem+json"
    assert f'"parameter":"{parameter}"'.encode() in body
    assert gateway.slots == 0


async def test_a_head_of_20_mb_is_431(gateway: RunningGateway) -> None:
    status, headers, _ = await answer_of(gateway.port, "/events", {"Last-Event-ID": "9" * 20_000_000})

    assert status == 431
    assert headers["content-type"] == "application/problem+json"


async def test_heartbeats_carry_the_position(redis_url: str) -> None:
    user = new_user()
    async with (
        running_gateway(redis_url, heartbeat_seconds=0.5) as gateway,
        open_page(gateway.port, "/events", bearer(user)) as page,
    ):
        await page.wait_for(lambda: bool(page.last_event_id))
        before = page.raw.count(b"id: ")
        await page.wait_for(lambda: page.raw.count(b": hb\n") >= 2 and page.raw.count(b"id: ") >= before + 2)

    assert page.events == []
    assert isinstance(Position.parse(page.last_event_id).id, StreamId)


async def test_the_document_names_every_route_and_no_other(gateway: RunningGateway) -> None:
    served = gateway.container.app().routes
    routes = {(route.path, method.lower()) for route in served for method in route.methods or ()}

    status, _, body = await answer_of(gateway.port, "/openapi.json")
    paths = json.loads(body)["paths"]

    assert status == 200
    assert {(path, method) for path, methods in paths.items() for method in methods} == routes
