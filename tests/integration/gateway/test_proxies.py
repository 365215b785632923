"""FAULTS 50: through real proxies, with buffering as they come, events arrive at once and pages resume."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.integration.gateway.curl import CurlPage, open_by_curl
from tests.integration.gateway.running import bearer, new_user, running_gateway
from tests.servers import Certificates
from tests.servers.web_proxies import PROXIES, WebProxy, program

EXAMPLES = [name for name in PROXIES if name.startswith("deploy/")]

NewProxy = Callable[[int], WebProxy]


@pytest.fixture
def proxy_in_front_of(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[NewProxy]:
    """Starts the proxy of this test in front of a port."""
    kind, name = PROXIES[request.param]
    if program(name) is None:
        pytest.skip(f"{name} is not installed")  # only on a laptop: `.ci/run` installs it
    with ExitStack() as started:
        yield lambda port: started.enter_context(kind(port, certificates))


def numbers(page: CurlPage) -> list[int]:
    return [json.loads(event.data)["n"] for event in page.events]


@pytest.mark.parametrize("proxy_in_front_of", list(PROXIES), indirect=True)
async def test_events_arrive_while_the_stream_is_open_and_pages_resume(
    redis_url: str, proxy_in_front_of: NewProxy, certificates: Certificates
) -> None:
    user = new_user()
    async with running_gateway(redis_url) as gateway:
        proxy = await asyncio.to_thread(proxy_in_front_of, gateway.port)
        url = f"{proxy.url}/events"
        async with open_by_curl(url, bearer(user), authority=certificates.authority) as page:
            await page.wait_for(lambda: bool(page.last_event_id))
            for number in (1, 2, 3):
                await gateway.publish(user, number)
                await page.wait_for(lambda: len(page.events) == number)  # noqa: B023 - awaited at once
        await gateway.until(lambda: gateway.streams == 0)
        await gateway.publish(user, *range(4, 300))
        resuming = {**bearer(user), "Last-Event-ID": page.last_event_id}
        async with open_by_curl(url, resuming, authority=certificates.authority) as again:
            await again.wait_for(lambda: len(again.events) == 296)
            await gateway.publish(user, 300)
            await again.wait_for(lambda: len(again.events) == 297)
        await gateway.until(lambda: gateway.streams == 0)

    assert page.raw.startswith(b"HTTP/2 200" if proxy.scheme == "https" else b"HTTP/1.1 200")
    assert numbers(page) == [1, 2, 3]
    assert numbers(again) == list(range(4, 301))


@pytest.mark.parametrize("proxy_in_front_of", EXAMPLES, indirect=True)
async def test_limits_count_clients_whatever_these_say_of_themselves(
    redis_url: str, proxy_in_front_of: NewProxy, certificates: Certificates
) -> None:
    async with running_gateway(
        redis_url, max_connections_per_address=1, trusted_proxies=("127.0.0.1",)
    ) as gateway:
        proxy = await asyncio.to_thread(proxy_in_front_of, gateway.port)
        url, authority = f"{proxy.url}/events", certificates.authority
        liar = {**bearer(new_user()), "X-Forwarded-For": "192.0.2.7"}
        async with (
            open_by_curl(url, bearer(new_user()), authority=authority, source="127.0.0.2") as first,
            open_by_curl(url, bearer(new_user()), authority=authority, source="127.0.0.3") as second,
        ):
            await first.wait_for(lambda: bool(first.last_event_id))
            await second.wait_for(lambda: bool(second.last_event_id))
            async with open_by_curl(url, liar, authority=authority, source="127.0.0.3") as third:
                await third.read_to_end()

    assert third.raw.startswith(b"HTTP/2 200")
    assert b"retry: " in third.raw
    assert gateway.counted("gateway_refusals_total", reason="address") == 1


@pytest.mark.parametrize("proxy_in_front_of", EXAMPLES, indirect=True)
async def test_a_page_whose_gateway_is_away_is_told_to_come_again(
    redis_url: str, proxy_in_front_of: NewProxy, certificates: Certificates
) -> None:
    headers = {**bearer(new_user()), "Origin": "https://app.example"}
    authority = certificates.authority
    async with running_gateway(redis_url) as gateway:
        proxy = await asyncio.to_thread(proxy_in_front_of, gateway.port)
    async with open_by_curl(f"{proxy.url}/events", headers, authority=authority) as page:
        await page.read_to_end()
    async with open_by_curl(f"{proxy.url}/position", headers, authority=authority) as request:
        await request.read_to_end()

    head, _, body = page.raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/2 200")
    assert b"content-type: text/event-stream" in head
    assert b"access-control-allow-origin: https://app.example" in head
    assert re.fullmatch(rb"retry: \d{4}\n\n", body)
    assert request.raw.startswith(b"HTTP/2 502")


@pytest.mark.parametrize("proxy_in_front_of", EXAMPLES, indirect=True)
async def test_no_query_is_in_a_proxys_log_even_while_the_gateway_is_away(
    redis_url: str, proxy_in_front_of: NewProxy, certificates: Certificates
) -> None:
    headers = {**bearer(new_user()), "Referer": "https://app.example/?planted=1"}
    async with running_gateway(redis_url) as gateway:
        proxy = await asyncio.to_thread(proxy_in_front_of, gateway.port)
        url = f"{proxy.url}/position?planted=1"
        async with open_by_curl(url, headers, authority=certificates.authority) as answered:
            await answered.read_to_end()
    async with open_by_curl(url, headers, authority=certificates.authority) as failed:
        await failed.read_to_end()
    await asyncio.to_thread(proxy.stop)

    logged = proxy.logged()
    assert answered.raw.startswith(b"HTTP/2 200")
    assert failed.raw.startswith(b"HTTP/2 502")
    assert logged.count("/position") == 2
    for secret in ("planted", headers["Authorization"].split(".")[2], headers["Authorization"].split(".")[1]):
        assert secret not in logged
