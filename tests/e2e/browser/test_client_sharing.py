"""One connection for all tabs of a browser, through a worker and through a tab that leads."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import BrowserContext

from tests.e2e.browser.scripted_server import ScriptedServer
from tests.e2e.browser.tabs import Tab, open_tab

SHARED = pytest.mark.parametrize("share", ["worker", "lock"])


@SHARED
async def test_two_tabs_share_one_connection(
    profile: BrowserContext, server: ScriptedServer, share: str
) -> None:
    one = await open_tab(profile, server.url, share=share)
    stream = await (await server.next()).open()
    await stream.write(b"id: e.0-1\n\n")
    await one.until("stream.position !== null")
    two = await open_tab(profile, server.url, share=share)
    await two.until("stream.position !== null")
    await stream.event("e.1-0", 1)
    await stream.say("stale")
    await stream.reset("e.2-0")

    for tab in (one, two):
        await tab.until_seen(1, "stale", "reset trimmed e.2-0")

    assert [await tab.get("stream.via") for tab in (one, two)] == [share, share]
    assert server.streams == 1


@SHARED
async def test_users_of_one_browser_do_not_share(
    profile: BrowserContext, server: ScriptedServer, share: str
) -> None:
    ada = await open_tab(profile, server.url, share=share, user="ada")
    adas = await (await server.next()).open()
    bob = await open_tab(profile, server.url, share=share, user="bob")
    bobs = await (await server.next()).open()
    await adas.event("e.1-0", 1)
    await bobs.event("e.1-0", 2)

    await ada.until_seen(1)
    await bob.until_seen(2)


@SHARED
async def test_when_the_first_tab_is_closed_the_other_goes_on(
    profile: BrowserContext, server: ScriptedServer, share: str
) -> None:
    one = await open_tab(profile, server.url, share=share)
    stream = await (await server.next()).open()
    await stream.event("e.1-0", 1)
    await one.until_seen(1)
    two = await open_tab(profile, server.url, share=share)
    await two.until("stream.position === 'e.1-0'")
    await one.page.close()
    if share == "lock":
        stream = await (await server.next()).open()
        assert stream.position == "e.1-0"
    await stream.event("e.2-0", 2)

    await two.until_seen(2)

    assert server.streams == (2 if share == "lock" else 1)


@SHARED
async def test_when_the_first_tab_crashes_the_other_goes_on(
    profile: BrowserContext, server: ScriptedServer, share: str
) -> None:
    """Chromium runs the worker in the first tab's process, so that it is lost with that tab."""
    one = await open_tab(profile, server.url, share=share)
    first = await (await server.next()).open()
    await first.event("e.1-0", 1)
    await one.until_seen(1)
    two = await open_tab(profile, server.url, share=share)
    await two.until("stream.position === 'e.1-0'")
    await crash(one)

    second = await (await server.next()).open()
    await second.event("e.2-0", 2)
    await two.until_seen(2)

    assert second.position == "e.1-0"


@SHARED
async def test_when_the_first_tab_stops_following_the_other_goes_on(
    profile: BrowserContext, server: ScriptedServer, share: str
) -> None:
    one = await open_tab(profile, server.url, share=share)
    stream = await (await server.next()).open()
    await stream.event("e.1-0", 1)
    await one.until_seen(1)
    two = await open_tab(profile, server.url, share=share)
    await two.until("stream.position === 'e.1-0'")
    await one.get("stream.close()")
    if share == "lock":
        stream = await (await server.next()).open()
    await stream.event("e.2-0", 2)

    await two.until_seen(2)

    assert await one.get("seen") == [1]


@SHARED
async def test_the_last_tab_ends_the_connection(
    profile: BrowserContext, server: ScriptedServer, share: str
) -> None:
    tabs = [await open_tab(profile, server.url, share=share) for _ in range(2)]
    stream = await (await server.next()).open()
    for tab in tabs:
        await tab.until("stream.state === 'open'")
    await tabs[1].page.close()
    await tabs[0].page.close()

    await stream.left()

    assert server.streams == 1


@SHARED
async def test_a_tab_that_is_behind_catches_up_and_the_others_see_nothing_of_it(
    profile: BrowserContext, server: ScriptedServer, share: str
) -> None:
    one = await open_tab(profile, server.url, share=share, position="e.5-0")
    shared = await (await server.next()).open()
    await shared.event("e.6-0", 6)
    await one.until_seen(6)

    two = await open_tab(profile, server.url, share=share, position="e.3-0")
    own = await (await server.next()).open()
    await shared.event("e.7-0", 7)
    await one.until_seen(6, 7)
    await own.reset("e.4-0")
    await own.event("e.5-0", 5)
    await own.event("e.6-0", 6)
    await two.until_seen("reset trimmed e.4-0", 5, 6, 7)
    await own.left()
    await shared.event("e.8-0", 8)
    await two.until_seen("reset trimmed e.4-0", 5, 6, 7, 8)

    assert own.position == "e.3-0"
    assert await one.get("seen") == [6, 7, 8]


@SHARED
async def test_a_tab_that_is_ahead_is_shown_nothing_from_before_its_position(
    profile: BrowserContext, server: ScriptedServer, share: str
) -> None:
    one = await open_tab(profile, server.url, share=share, position="e.1-0")
    shared = await (await server.next()).open()
    await one.until("stream.state === 'open'")
    two = await open_tab(profile, server.url, share=share, position="e.3-0")
    own = await (await server.next()).open()
    for number in (2, 3, 4):
        await shared.event(f"e.{number}-0", number)
    await one.until_seen(2, 3, 4)

    await two.until_seen(4)

    assert own.position == "e.3-0"


@SHARED
async def test_a_tab_whose_position_is_remembered_gets_what_it_missed_without_another_connection(
    profile: BrowserContext, server: ScriptedServer, share: str
) -> None:
    one = await open_tab(profile, server.url, share=share, position="e.5-0")
    stream = await (await server.next()).open()
    await stream.event("e.6-0", 6)
    await stream.event("e.7-0", 7)
    await one.until_seen(6, 7)

    two = await open_tab(profile, server.url, share=share, position="e.6-0")

    await two.until_seen(7)
    assert server.streams == 1


@SHARED
async def test_another_tab_is_asked_for_a_ticket_when_the_first_is_gone(
    profile: BrowserContext, server: ScriptedServer, share: str
) -> None:
    one = await open_tab(profile, server.url, share=share, url="/events", tickets="one")
    first = await (await server.next()).open()
    await first.event("e.1-0", 1)
    await one.until_seen(1)
    two = await open_tab(profile, server.url, share=share, url="/events", tickets="two")
    await two.until("stream.position === 'e.1-0'")
    await one.page.close()
    if share == "worker":
        first.end()

    second = await server.next()

    assert (first.query["ticket"], second.query["ticket"]) == ("one-1", "two-1")
    assert second.position == "e.1-0"


async def test_a_browser_that_refuses_the_worker_shares_through_a_leading_tab(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    tabs = [await open_tab(profile, server.url, workerUrl="/nowhere/worker.js") for _ in range(2)]
    stream = await (await server.next()).open()
    await stream.event("e.1-0", 1)

    for tab in tabs:
        await tab.until("stream.state === 'open'")

    assert [await tab.get("stream.via") for tab in tabs] == ["lock", "lock"]
    assert server.streams == 1


async def test_a_tab_that_shares_nothing_has_its_own_connection(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    for _ in range(2):
        tab = await open_tab(profile, server.url, share="none")
        await (await server.next()).open()
        await tab.until("stream.state === 'open'")

    assert server.streams == 2


async def crash(tab: Tab) -> None:
    session = await tab.page.context.new_cdp_session(tab.page)
    crashed = asyncio.ensure_future(tab.page.wait_for_event("crash"))
    asking = asyncio.ensure_future(session.send("Page.crash"))
    await crashed
    asking.cancel()
