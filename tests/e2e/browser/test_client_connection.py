"""The client's connection: resume, ends, refusals, tickets, silence."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from playwright.async_api import BrowserContext

from tests.e2e.browser.scripted_server import ScriptedServer
from tests.e2e.browser.tabs import Tab, open_tab


async def test_what_comes_again_after_a_reconnect_is_shown_once(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    tab = await open_tab(profile, server.url)
    first = await (await server.next()).open()
    await first.event("e.1-0", 1)
    await first.event("e.2-0", 2)
    await tab.until_seen(1, 2)
    first.cut()
    second = await (await server.next()).open()
    await second.reset("f.0-9", "epoch")
    for number in (1, 2, 3):
        await second.event(f"f.{number}-0", number)

    await tab.until_seen(1, 2, "reset epoch f.0-9", 3)

    assert second.position == "e.2-0"
    assert await tab.get("stream.repeats") == 2
    assert await tab.get("stream.position") == "f.3-0"


async def test_stale_and_fresh_are_told_once_each(profile: BrowserContext, server: ScriptedServer) -> None:
    tab = await open_tab(profile, server.url)
    stream = await (await server.next()).open()
    for kind in ("stale", "stale", "fresh", "fresh"):
        await stream.say(kind, since="2026-01-01T00:00:00Z")
    await stream.event("e.1-0", 1)

    await tab.until_seen("stale", "fresh", 1)

    assert await tab.get("stream.stale") is False


async def test_204_stops_the_client(profile: BrowserContext, server: ScriptedServer) -> None:
    tab = await open_tab(profile, server.url)
    (await (await server.next()).open()).end()
    await (await server.next()).answer(HTTPStatus.NO_CONTENT)

    await tab.until("stream.state === 'closed'")

    assert (await tab.get("states"))[-1] == "closed: stopped"
    assert server.streams == 2


@pytest.mark.parametrize("status", [HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE])
async def test_a_proxy_without_its_gateway_does_not_end_the_stream(
    profile: BrowserContext, server: ScriptedServer, status: HTTPStatus
) -> None:
    """With EventSource it would, for good."""
    tab = await open_tab(profile, server.url)
    first = await (await server.next()).open()
    await first.event("e.1-0", 1)
    first.end()
    await (await server.next()).answer(status)
    third = await (await server.next()).open()
    await third.event("e.2-0", 2)

    await tab.until_seen(1, 2)

    assert third.position == "e.1-0"


async def test_a_page_that_is_not_a_stream_is_not_taken_for_one(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    tab = await open_tab(profile, server.url)
    await (await server.next()).answer(HTTPStatus.OK, "text/html", b"data: sign in first\n\n")
    second = await (await server.next()).open()
    await second.event("e.1-0", 1)

    await tab.until_seen(1)


async def test_an_answer_that_is_no_stream_is_let_go_of_though_it_has_no_end(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    """HTTP/1.1 has six connections for all tabs."""
    await open_tab(profile, server.url)
    stuck = await server.next()
    await stuck.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 100\r\n\r\nnot all of")

    await stuck.left()

    assert (await server.next()).position is None


async def test_a_refusal_that_no_repeating_mends_is_final(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    tab = await open_tab(profile, server.url)
    await (await server.next()).answer(HTTPStatus.FORBIDDEN)

    await tab.until("stream.state === 'closed'")

    assert (await tab.get("states"))[-1] == "closed: refused"


async def test_each_connect_brings_a_fresh_ticket(profile: BrowserContext, server: ScriptedServer) -> None:
    tab = await open_tab(profile, server.url, url="/events", tickets="t")
    first = await (await server.next()).open()
    first.end()
    refused = await server.next()
    await refused.answer(HTTPStatus.UNAUTHORIZED)
    third = await (await server.next()).open()
    await third.event("e.1-0", 1)

    await tab.until_seen(1)

    assert [first.query["ticket"], refused.query["ticket"], third.query["ticket"]] == ["t-1", "t-2", "t-3"]


async def test_a_connection_that_fell_silent_is_given_up(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    """As after a laptop's sleep: nothing says that the other end is gone, only the heartbeats are missing."""
    tab = await open_tab(profile, server.url, silenceMs=300)
    first = await (await server.next()).open()
    await first.event("e.1-0", 1)

    second = await (await server.next()).open()
    await first.left()
    await second.event("e.2-0", 2)
    await tab.until_seen(1, 2)

    assert second.position == "e.1-0"


async def test_close_and_an_abort_signal_let_go_of_the_connection(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    tab = await open_tab(profile, server.url)
    stream = await (await server.next()).open()
    await tab.get("stream.close()")

    await stream.left()

    assert await tab.get("[stream.state, states.at(-1)]") == ["closed", "closed: left"]
    assert server.idle


async def test_a_loop_sees_events_and_resets_in_order_and_ends_with_the_stream(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    tab = await open_tab(profile, server.url, share="none")
    stream = await (await server.next()).open()
    await tab.get(
        """() => {
          window.looped = [];
          window.loop = (async () => {
            for await (const notice of stream) looped.push(notice.data?.number ?? notice.kind);
            looped.push("end");
          })();
        }"""
    )
    await stream.event("e.1-0", 1)
    await stream.reset("e.2-0")
    await stream.event("e.3-0", 3)
    await tab.until("looped.length === 3")
    await tab.get("stream.close()")
    await tab.get("loop")

    assert await tab.get("looped") == [1, "reset", 3, "end"]


@pytest.mark.parametrize("begin", ["last_event_id=e.1-0", "last=3"])
async def test_where_the_page_wants_to_begin_goes_before_the_ticket_s_position(
    profile: BrowserContext, server: ScriptedServer, begin: str
) -> None:
    tab = await open_tab(profile, server.url, url=f"/events?{begin}", tickets="t", ticketsAt="e.9-0")
    first = await (await server.next()).open()
    await first.event("e.10-0", 10)
    await tab.until_seen(10)
    first.end()

    second = await server.next()

    name, value = begin.split("=")
    assert first.query == {"ticket": "t-1", name: value}
    assert second.query == {"ticket": "t-2", "last_event_id": "e.10-0"}


async def test_a_frame_that_may_neither_share_nor_keep_anything_has_its_own_connection(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    """Of a sandbox, or a site whose data are blocked: workers, locks and storage all raise."""
    server.pages["/around"] = b"<!doctype html><iframe sandbox=allow-scripts src=/></iframe>"
    page = await profile.new_page()
    await page.goto(f"{server.url}/around")
    (frame,) = page.main_frame.child_frames
    await frame.wait_for_load_state()
    tab = Tab(page, {"user": "ada", "url": f"{server.url}/events?user=ada"}, frame)
    await tab.follow()
    stream = await (await server.next()).open()
    await stream.event("e.1-0", 1)

    await tab.until_seen(1)

    assert await tab.get("stream.via") == "tab"
