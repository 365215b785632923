"""The whole way from Redis to a page: `eventbridge serve`, real Chromium, pages of another origin."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, BrowserContext, Page

from tests.e2e.browser.gateways import WITH_TOKENS, Gateway, known_user, publish, running_gateway, token
from tests.e2e.browser.scripted_server import ScriptedServer
from tests.e2e.browser.tabs import Tab, open_tab
from tests.integration.entrypoints.processes import running_bridge
from tests.integration.faults.oracle import envelope
from tests.integration.kafka.members import producing
from tests.servers.embedded import EmbeddedKafka

LISTEN = """
(url) => {
  window.seen = [];
  window.states = [];
  window.source = new EventSource(url);
  source.onopen = () => states.push("open");
  source.onerror = () => states.push(source.readyState === EventSource.CLOSED ? "closed" : "waiting");
  const show = ({ data }) => {
    const { number, payload } = JSON.parse(data);
    seen.push(number ?? payload.number);
  };
  for (const kind of ["Started", "Theme.Proposed"]) source.addEventListener(`Genesis.Session.${kind}`, show);
  for (const kind of ["reset", "stale", "fresh"]) source.addEventListener(kind, () => seen.push(kind));
}
"""


async def listening(profile: BrowserContext, server: ScriptedServer, gateway: Gateway, user: str) -> Tab:
    """A page with nothing but an EventSource."""
    page: Page = await profile.new_page()
    await page.goto(server.url)
    await page.evaluate(LISTEN, f"{gateway.url}/events?user={user}&last=0")
    tab = Tab(page, {})
    await tab.until("states.includes('open')")
    return tab


async def test_an_event_source_goes_on_exactly_after_the_gateway_was_killed(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    with running_gateway(server.url) as gateway:
        user = await known_user(gateway.redis)
        tab = await listening(profile, server, gateway, user)
        await publish(gateway.redis, user, 1, 2)
        await tab.until_seen(1, 2)
        gateway.kill()
        await publish(gateway.redis, user, 3, 4)
        await asyncio.to_thread(gateway.start)
        await publish(gateway.redis, user, 5)

        await tab.until_seen(1, 2, 3, 4, 5)


@pytest.mark.timeout(120)
async def test_a_page_misses_and_repeats_nothing_when_the_bridge_is_killed(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    """Rows 5 and 17 as a page sees them: from Kafka's log to what is shown."""
    with EmbeddedKafka() as kafka, running_gateway(server.url) as gateway:
        kafka.create_topic("events")
        user = await known_user(gateway.redis)
        settings = {
            "KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap,
            "KAFKA__TOPICS": "events",
            "REDIS__URL": gateway.redis.url,
        }
        tab = await listening(profile, server, gateway, user)

        async def produce(*numbers: int) -> None:
            async with producing(kafka.bootstrap) as producer:
                for number in numbers:
                    await producer.send("events", envelope(user, {"number": number}), partition=0)

        with running_bridge(settings) as bridge:
            await produce(*range(1, 101))
            await tab.until("seen.length > 0")
            bridge.process.kill()
        await produce(*range(101, 201))
        # Its own group: in the other one the dead member keeps the partitions for the time of its session.
        with running_bridge(settings | {"KAFKA__GROUP_ID": "another"}):
            await tab.until_seen(*range(1, 201))


@pytest.mark.parametrize("through", ["EventSource", "the client"])
async def test_a_tab_that_slept_goes_on_exactly_where_it_was(
    browser: Browser, profile: BrowserContext, server: ScriptedServer, through: str
) -> None:
    """While it slept its connection died, and events went by."""
    with running_gateway(server.url) as gateway:
        user = await known_user(gateway.redis)
        if through == "EventSource":
            tab = await listening(profile, server, gateway, user)
        else:
            url = f"{gateway.url}/events?user={user}"
            tab = await open_tab(profile, server.url, user=user, url=url, share="none")
            await tab.until("stream.position !== null")
        await publish(gateway.redis, user, 1)
        await tab.until_seen(1)

        async with asleep(browser):
            await publish(gateway.redis, user, 2)
            gateway.kill()
            await asyncio.to_thread(gateway.start)
            await publish(gateway.redis, user, 3)
        await publish(gateway.redis, user, 4)

        await tab.until_seen(1, 2, 3, 4)


@asynccontextmanager
async def asleep(browser: Browser) -> AsyncIterator[None]:
    """All of the browser's processes stand still, as while the laptop's lid is closed."""
    session = await browser.new_browser_cdp_session()
    processes = (await session.send("SystemInfo.getProcessInfo"))["processInfo"]
    await session.detach()
    try:
        for process in processes:
            os.kill(int(process["id"]), signal.SIGSTOP)
        yield
    finally:
        for process in processes:
            os.kill(int(process["id"]), signal.SIGCONT)


async def test_an_event_source_goes_on_exactly_after_the_gateway_was_stopped(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    with running_gateway(server.url) as gateway:
        user = await known_user(gateway.redis)
        tab = await listening(profile, server, gateway, user)
        await publish(gateway.redis, user, 1)
        await tab.until_seen(1)
        code = await asyncio.to_thread(gateway.stop)
        await publish(gateway.redis, user, 2)
        await asyncio.to_thread(gateway.start)

        await tab.until_seen(1, 2)

        assert code == 0


async def test_a_page_is_told_of_stale_and_fresh_and_misses_nothing_when_redis_restarts(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    with running_gateway(server.url, GATEWAY__STALE_AFTER_SECONDS="0.5") as gateway:
        user = await known_user(gateway.redis)
        tab = await listening(profile, server, gateway, user)
        await publish(gateway.redis, user, 1)
        await tab.until_seen(1)
        await asyncio.to_thread(gateway.redis.kill)
        await tab.until_seen(1, "stale")
        await asyncio.to_thread(gateway.redis.start)
        await tab.until_seen(1, "stale", "fresh")
        await publish(gateway.redis, user, 2)

        await tab.until_seen(1, "stale", "fresh", 2)


async def test_a_page_over_the_limit_comes_back_by_itself(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    """Row 48."""
    with running_gateway(server.url, GATEWAY__MAX_CONNECTIONS="1") as gateway:
        user = await known_user(gateway.redis)
        first = await listening(profile, server, gateway, user)
        await first.until("source.readyState === EventSource.OPEN")
        second = await listening(profile, server, gateway, user)
        await second.until("states.includes('waiting')")
        await first.page.close()
        await publish(gateway.redis, user, 1)

        await second.until("source.readyState === EventSource.OPEN")
        await publish(gateway.redis, user, 2)
        await second.until("seen.includes(2)")

        assert "closed" not in await second.get("states")


async def test_two_tabs_of_the_client_are_one_connection_to_the_gateway(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    with running_gateway(server.url) as gateway:
        user = await known_user(gateway.redis)
        url = f"{gateway.url}/events?user={user}"
        tabs = [await open_tab(profile, server.url, user=user, url=url) for _ in range(2)]
        for tab in tabs:
            await tab.until("stream.position !== null")
        await publish(gateway.redis, user, 1, 2)
        for tab in tabs:
            await tab.until_seen(1, 2)

        assert await asyncio.to_thread(gateway.connections) == 1


async def test_a_page_load_of_the_client_loses_and_repeats_nothing(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    with running_gateway(server.url) as gateway:
        user = await known_user(gateway.redis)
        tab = await open_tab(profile, server.url, user=user, url=f"{gateway.url}/events?user={user}")
        await tab.until("stream.position !== null")
        await publish(gateway.redis, user, 1, 2)
        await tab.until_seen(1, 2)
        await tab.page.goto("about:blank")
        await publish(gateway.redis, user, 3, 4)
        await tab.page.goto(server.url)
        await tab.follow()

        await tab.until_seen(3, 4)


async def test_the_client_brings_a_new_token_when_the_old_one_has_expired(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    with running_gateway(server.url, **WITH_TOKENS) as gateway:
        user = await known_user(gateway.redis)
        tokens = [token(user, seconds=4), token(user)]
        tab = await open_tab(profile, server.url, user=user, url=f"{gateway.url}/events", tokens=tokens)
        await tab.until("stream.position !== null")
        await publish(gateway.redis, user, 1)
        await tab.until_seen(1)
        await tab.until("states.filter((state) => state === 'open').length === 2")
        await publish(gateway.redis, user, 2)

        await tab.until_seen(1, 2)


async def test_the_client_stops_when_its_user_is_revoked(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    with running_gateway(server.url, **WITH_TOKENS) as gateway:
        user = await known_user(gateway.redis)
        tab = await open_tab(
            profile, server.url, user=user, url=f"{gateway.url}/events", tokens=[token(user)]
        )
        await tab.until("stream.position !== null")
        await asyncio.to_thread(gateway.command, "revoke", "--user", user)

        await tab.until("stream.state === 'closed'")

        assert (await tab.get("states"))[-1] == "closed: stopped"


async def test_an_event_source_opens_with_a_ticket_that_a_token_bought(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    with running_gateway(server.url, **WITH_TOKENS) as gateway:
        user = await known_user(gateway.redis)
        page = await profile.new_page()
        await page.goto(server.url)
        bought = await page.evaluate(
            """([url, token]) => fetch(url, { method: "POST", headers: { authorization: `Bearer ${token}` } })
                 .then((answer) => answer.json())""",
            [f"{gateway.url}/ticket", token(user)],
        )
        await publish(gateway.redis, user, 1)
        query = f"ticket={bought['ticket']}&last_event_id={bought['position']}"
        await page.evaluate(LISTEN, f"{gateway.url}/events?{query}")

        await Tab(page, {}).until_seen(1)
