"""The position over a page load: no gap, no repeat."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import BrowserContext

from tests.e2e.browser.scripted_server import ScriptedServer
from tests.e2e.browser.tabs import open_tab


@pytest.mark.parametrize("share", ["worker", "lock", "none"])
async def test_a_reloaded_page_goes_on_without_gap_and_repeat(
    profile: BrowserContext, server: ScriptedServer, share: str
) -> None:
    tab = await open_tab(profile, server.url, share=share)
    first = await (await server.next()).open()
    await first.event("e.1-0", 1)
    await first.event("e.2-0", 2)
    await tab.until_seen(1, 2)
    await tab.reload()
    second = await (await server.next()).open()
    await second.reset("f.0-9", "epoch")
    await second.event("f.2-0", 2)
    await second.event("f.3-0", 3)

    await tab.until_seen("reset epoch f.0-9", 3)

    assert second.position == "e.2-0"


async def test_a_page_that_was_rendered_with_a_position_begins_there_whatever_the_page_before_it_saw(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    """What came while the new page was under way, the old one has seen, and the new one's state has not."""
    tab = await open_tab(profile, server.url, position="e.1-0")
    first = await server.next()
    await (await first.open()).event("e.2-0", 2)
    await tab.until_seen(2)
    await tab.reload()
    second = await server.next()
    await (await second.open()).event("e.2-0", 2)

    await tab.until_seen(2)

    assert (first.position, second.position) == ("e.1-0", "e.1-0")


async def test_what_a_loop_has_not_worked_off_comes_again_after_a_page_load(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    tab = await open_tab(profile, server.url, share="none")
    first = await (await server.next()).open()
    await tab.get("() => { window.loop = stream[Symbol.asyncIterator](); }")
    for number in (1, 2, 3):
        await first.event(f"e.{number}-0", number)
    await tab.until_seen(1, 2, 3)
    await tab.get("loop.next().then(() => loop.next()).then(({ value }) => value.data.number)")
    await tab.reload()
    second = await (await server.next()).open()
    for number in (2, 3):
        await second.event(f"e.{number}-0", number)

    await tab.until_seen(2, 3)

    assert second.position == "e.1-0"


@pytest.mark.parametrize("limit", [{"dedupe": 4}, {"maxWaiting": 1}], ids=["known", "waiting"])
async def test_a_loop_far_behind_misses_nothing_over_a_page_load(
    profile: BrowserContext, server: ScriptedServer, limit: dict[str, Any]
) -> None:
    tab = await open_tab(profile, server.url, share="none", position="e.0-1", **limit)
    first = await (await server.next()).open()
    await tab.get("() => { window.loop = stream[Symbol.asyncIterator](); }")
    for number in range(1, 6):
        await first.event(f"e.{number}-0", number)
    await tab.until_seen(1, 2, 3, 4, 5)
    await tab.reload(position=None)
    second = await (await server.next()).open()
    for number in range(1, 6):
        await second.event(f"e.{number}-0", number)

    await tab.until_seen(1, 2, 3, 4, 5)

    assert second.position == "e.0-1"


async def test_a_page_that_keeps_nothing_begins_at_the_end(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    tab = await open_tab(profile, server.url, remember="none")
    first = await (await server.next()).open()
    await first.event("e.1-0", 1)
    await tab.until_seen(1)
    await tab.reload()

    second = await server.next()

    assert second.position is None


async def test_a_new_tab_goes_on_where_any_tab_was_where_that_is_asked(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    one = await open_tab(profile, server.url, remember="local")
    first = await (await server.next()).open()
    await first.event("e.1-0", 1)
    await one.until_seen(1)
    await one.page.close()
    await first.left()

    await open_tab(profile, server.url, remember="local")
    second = await server.next()

    assert second.position == "e.1-0"


async def test_a_page_that_comes_back_from_the_history_goes_on(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    """Whether the browser froze the page or loads it anew, the position is the same."""
    server.pages["/other"] = server.pages["/"]
    tab = await open_tab(profile, server.url)
    first = await (await server.next()).open()
    await first.event("e.1-0", 1)
    await tab.until_seen(1)
    await tab.page.goto(f"{server.url}/other")
    await first.left()
    await tab.page.go_back()
    if not await tab.get("'stream' in window"):
        await tab.follow()
    second = await server.next()

    assert second.position == "e.1-0"
