"""FAULTS 48, 49 and 51: who is let in, who is sent away and how, and that no log repeats a proof."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from eventbridge.adapters.redis.connect import connect
from eventbridge.adapters.redis.revocations import RedisRevocations
from eventbridge.adapters.redis.settings import RedisSettings
from tests.integration.gateway.running import (
    KEY,
    LIMIT_SECONDS,
    RunningGateway,
    bearer,
    new_user,
    running_gateway,
    token,
)
from tests.integration.gateway.sse_client import Page, answer_of, ask, open_page

pytestmark = pytest.mark.usefixtures("either_way")

PAGE = "https://app.example"


@pytest.fixture
async def gateway(redis_url: str) -> AsyncIterator[RunningGateway]:
    async with running_gateway(redis_url, cors_origins=(PAGE,)) as gateway:
        yield gateway


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"max_connections": 1}, "connections"),
        ({"max_connections_per_address": 1}, "address"),
        ({"max_connections_per_user": 1}, "user"),
        ({"connects_per_second": 1}, "rate"),
    ],
)
async def test_over_a_limit_a_page_is_told_when_to_come_again_and_gets_in_then(
    redis_url: str, limits: dict[str, Any], reason: str
) -> None:
    user = new_user()
    async with running_gateway(redis_url, **limits) as gateway:
        first = await ask(gateway.port, "/events", bearer(user))
        async with open_page(gateway.port, "/events", bearer(user)) as refused:
            await refused.read_to_end()
        first.leave()
        await gateway.until(lambda: gateway.slots == 0)
        again = await get_in(gateway, user)

        assert refused.status == 200
        assert refused.headers["content-type"].startswith("text/event-stream")
        assert refused.events == []
        assert refused.retry_ms is not None
        assert 1_000 <= refused.retry_ms <= 15_000
        assert again.last_event_id
        assert gateway.counted("gateway_refusals_total", reason=reason) >= 1


async def get_in(gateway: RunningGateway, user: str) -> Page:
    """Come again as often as it takes, but sooner than an `EventSource` is told to."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            async with open_page(gateway.port, "/events", bearer(user)) as page:
                await page.wait_for_bytes(b"retry: ")
                if gateway.streams:
                    await page.wait_for_bytes(b"id: ")
                    return page
                await page.read_to_end()


async def test_slots_of_a_user_are_counted_over_all_gateways(redis_url: str) -> None:
    user = new_user()
    async with (
        running_gateway(redis_url, max_connections_per_user=1) as one,
        running_gateway(redis_url, max_connections_per_user=1) as other,
        open_page(one.port, "/events", bearer(user)) as page,
    ):
        await page.wait_for(lambda: bool(page.last_event_id))
        async with open_page(other.port, "/events", bearer(user)) as refused:
            await refused.read_to_end()

        assert other.counted("gateway_refusals_total", reason="user") == 1
        assert other.slots == 0


@pytest.mark.parametrize(("proxies", "admitted"), [(("127.0.0.0/8",), 2), ((), 1)])
async def test_limits_mean_clients_as_the_proxies_report_them_if_these_are_trusted(
    redis_url: str, proxies: tuple[str, ...], admitted: int
) -> None:
    async with (
        running_gateway(redis_url, max_connections_per_address=1, trusted_proxies=proxies) as gateway,
        AsyncExitStack() as pages,
    ):
        for address in ("192.0.2.1", "192.0.2.2"):
            header = {**bearer(new_user()), "X-Forwarded-For": f"198.51.100.9, {address}"}
            page = await pages.enter_async_context(open_page(gateway.port, "/events", header))
            await page.wait_for_bytes(b"retry: ")

        assert gateway.streams == admitted


@pytest.mark.parametrize(
    ("proof", "status"),
    [
        ("", 401),
        ("expired", 401),
        ("audience", 401),
        ("none", 401),
        ("other key", 401),
        ("not a token", 401),
        ("no user", 401),
    ],
)
async def test_without_a_good_token_nothing_is_served(
    gateway: RunningGateway, proof: str, status: int
) -> None:
    user = new_user()
    await gateway.publish(user, 1)
    unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhIn0."
    proofs = {
        "": {},
        "expired": bearer(user, seconds=-1),
        "audience": bearer(user, aud="somebody else"),
        "none": {"Authorization": f"Bearer {unsigned}"},
        "other key": bearer(user, key="another secret of more than thirty-two bytes"),
        "not a token": {"Authorization": "Bearer x.y.z"},
        "no user": bearer("ann"),
    }

    answers = [
        await answer_of(gateway.port, path, proofs[proof], method=method)
        for method, path in (("GET", "/events?last=10"), ("GET", "/position"), ("POST", "/ticket"))
    ]

    assert [answer[0] for answer in answers] == [status] * 3
    assert all(answer[1]["content-type"] == "application/problem+json" for answer in answers)
    assert all(b'"n"' not in answer[2] for answer in answers)
    assert gateway.slots == 0


async def test_a_cookie_counts_only_for_pages_on_the_list(gateway: RunningGateway) -> None:
    user = new_user()
    cookie = {"Cookie": f"theme=dark; __Host-eventbridge={token(user)}"}

    foreign = await answer_of(gateway.port, "/events", {**cookie, "Origin": "https://evil.example"})
    nobody = await answer_of(gateway.port, "/events", cookie)
    async with open_page(gateway.port, "/events", {**cookie, "Origin": PAGE}) as own:
        await own.wait_for(lambda: bool(own.last_event_id))

    assert foreign[0] == nobody[0] == 403
    assert "access-control-allow-origin" not in foreign[1]
    assert own.status == 200
    assert own.headers["access-control-allow-origin"] == PAGE
    assert own.headers["access-control-allow-credentials"] == "true"
    assert own.headers["vary"] == "Origin"


async def test_a_ticket_opens_one_stream_of_its_user_and_misses_nothing(gateway: RunningGateway) -> None:
    user = new_user()
    status, _, body = await answer_of(gateway.port, "/ticket", bearer(user), method="POST")
    issued = json.loads(body)
    await gateway.publish(user, 1)

    path = f"/events?ticket={issued['ticket']}&last_event_id={issued['position']}"
    async with open_page(gateway.port, path) as page:
        shown = await page.next_data()
    again = await answer_of(gateway.port, path)

    assert status == 200
    assert issued["expires_in"] == 30
    assert shown["n"] == 1
    assert again[0] == 401


async def test_a_stream_ends_with_its_token_and_says_when_to_come_again(gateway: RunningGateway) -> None:
    begun = time.time()

    async with open_page(gateway.port, "/events", bearer(new_user(), seconds=3)) as page:
        await page.read_to_end()

    assert time.time() <= begun + 3
    assert page.raw.rstrip().rpartition(b"\n")[2].startswith(b"retry: ")
    assert gateway.counted("gateway_disconnects_total", reason="token_expired") == 1


async def test_a_stream_ends_at_its_age_and_goes_on_where_it_was(redis_url: str) -> None:
    user = new_user()
    async with running_gateway(redis_url, max_age_seconds=2) as gateway:
        async with open_page(gateway.port, "/events", bearer(user)) as page:
            await page.wait_for(lambda: bool(page.last_event_id))
            await gateway.publish(user, 1)
            await page.read_to_end()
        await gateway.publish(user, 2)
        header = {**bearer(user), "Last-Event-ID": page.last_event_id}
        async with open_page(gateway.port, "/events", header) as again:
            shown = await again.next_data()

        assert [event.data.split(",")[0] for event in page.events] == ['{"n": 1']
        assert shown["n"] == 2
        assert gateway.counted("gateway_disconnects_total", reason="age") == 1


@pytest.mark.parametrize("by", ["user", "token"])
async def test_who_is_revoked_is_closed_within_5_seconds_and_told_to_stop(
    gateway: RunningGateway, redis_url: str, by: str
) -> None:
    user, other = new_user(), new_user()
    proof = bearer(user, jti="the-token")
    async with (
        open_page(gateway.port, "/events", proof) as page,
        open_page(gateway.port, "/events", bearer(other)) as spared,
    ):
        await page.wait_for(lambda: bool(page.last_event_id))
        await spared.wait_for(lambda: bool(spared.last_event_id))
        link = connect(RedisSettings(url=redis_url))
        revocations = RedisRevocations(link)
        if by == "user":
            await revocations.revoke(user_id=user)
        else:
            await revocations.revoke(token_id="the-token")
        await revocations.close()
        await link.close()
        async with asyncio.timeout(5):
            await page.read_to_end()
        again = await answer_of(gateway.port, "/events", proof)
        await gateway.publish(other, 1)
        assert (await spared.next_data())["n"] == 1

    assert again[0] == 204
    assert gateway.counted("gateway_disconnects_total", reason="revoked") == 1


async def test_no_token_ticket_or_query_is_in_any_log_line(
    gateway: RunningGateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    user = new_user()
    planted = token(user)
    secrets = [planted, planted.split(".")[2], KEY, "planted-ticket", "planted-parameter", "planted-cookie"]
    proofs = [
        {"Authorization": f"Bearer {planted}"},
        {"Authorization": f"Bearer {planted}x"},
        {"Cookie": f"__Host-eventbridge={planted}; other=planted-cookie"},
        {"Cookie": "__Host-eventbridge=planted-cookie", "Origin": PAGE},
    ]
    bodies = []
    for proof in proofs:
        for path in (
            "/position?x=planted-parameter",
            "/events?last=planted-parameter",
            "/nothing/planted-ticket",
        ):
            bodies.append((await answer_of(gateway.port, path, proof))[2])
    bodies.append((await answer_of(gateway.port, "/events?ticket=planted-ticket"))[2])
    bodies.append((await answer_of(gateway.port, "/events?last=%ff&planted-parameter"))[2])

    said = [*(str(record.__dict__) for record in caplog.records), *(body.decode() for body in bodies)]

    assert [line for line in said for secret in secrets if secret in line] == []
