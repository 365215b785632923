"""What a page sees with nothing but the browser's own EventSource."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from playwright.async_api import BrowserContext, Page

from tests.e2e.browser.scripted_server import ScriptedServer
from tests.unit.domain.event_streams import CASES

LISTEN = """
() => {
  window.seen = [];
  window.states = [];
  window.source = new EventSource("/events?user=ada");
  source.onopen = () => states.push("open");
  source.onerror = () => states.push(source.readyState === EventSource.CLOSED ? "closed" : "waiting");
  for (const kind of ["message", "Genesis.Session.Started", "reset", "stale", "fresh"]) {
    source.addEventListener(kind, ({ data, lastEventId }) => {
      seen.push([kind, JSON.parse(data), lastEventId]);
    });
  }
}
"""


async def listening(profile: BrowserContext, server: ScriptedServer) -> Page:
    page = await profile.new_page()
    await page.goto(server.url)
    await page.evaluate(LISTEN)
    return page


async def until(page: Page, condition: str) -> None:
    await page.wait_for_function(condition, polling=20)


async def test_an_event_source_receives_named_events(profile: BrowserContext, server: ScriptedServer) -> None:
    page = await listening(profile, server)
    stream = await (await server.next()).open()

    await stream.event("e.1-0", 1)
    await until(page, "seen.length === 1")

    assert await page.evaluate("seen") == [
        ["Genesis.Session.Started", {"event_id": "event-1", "number": 1}, "e.1-0"]
    ]


async def test_an_event_source_goes_on_where_it_was_after_the_server_ended_the_stream(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    page = await listening(profile, server)
    first = await (await server.next()).open()
    await first.event("e.1-0", 1)
    first.end()

    second = await (await server.next()).open()
    await second.event("e.2-0", 2)
    await until(page, "seen.length === 2")

    assert second.headers["last-event-id"] == "e.1-0"
    assert await page.evaluate("states") == ["open", "waiting", "open"]


async def test_an_event_source_goes_on_after_its_connection_was_cut(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    page = await listening(profile, server)
    first = await (await server.next()).open()
    await first.event("e.1-0", 1)
    await until(page, "seen.length === 1")
    first.cut()

    second = await server.next()

    assert second.headers["last-event-id"] == "e.1-0"


async def test_a_bare_id_moves_the_position_and_shows_nothing(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    page = await listening(profile, server)
    first = await (await server.next()).open()
    await first.write(b"id: e.5-0\n\n")
    first.end()

    second = await server.next()

    assert second.headers["last-event-id"] == "e.5-0"
    assert await page.evaluate("seen") == []


async def test_a_page_over_the_limits_comes_back_by_itself(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    """Row 48: 200, `retry:` and the end, since an EventSource gives up for good on any other status."""
    page = await listening(profile, server)
    for _ in range(3):
        refused = await (await server.next()).open(retry_ms=30)
        refused.end()

    admitted = await (await server.next()).open()
    await admitted.event("e.1-0", 1)
    await until(page, "seen.length === 1")

    assert await page.evaluate("source.readyState") == 1


async def test_any_other_status_ends_an_event_source_for_good(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    """Why being over a limit is told with 200."""
    page = await listening(profile, server)
    await (await server.next()).answer(HTTPStatus.SERVICE_UNAVAILABLE)

    await until(page, "states.length === 1")

    assert await page.evaluate("states") == ["closed"]


async def test_204_ends_an_event_source_for_good(profile: BrowserContext, server: ScriptedServer) -> None:
    page = await listening(profile, server)
    first = await (await server.next()).open()
    first.end()
    await (await server.next()).answer(HTTPStatus.NO_CONTENT)

    await until(page, "source.readyState === EventSource.CLOSED")

    assert await page.evaluate("states") == ["open", "waiting", "closed"]
    assert server.streams == 2


async def test_an_event_source_is_told_of_resets_and_of_stale_and_fresh(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    page = await listening(profile, server)
    stream = await (await server.next()).open()
    await stream.say("stale", since="2026-01-01T00:00:00Z")
    await stream.say("fresh")
    await stream.reset("e.3-0", "trimmed")

    await until(page, "seen.length === 3")

    assert await page.evaluate("seen.map(([kind]) => kind)") == ["stale", "fresh", "reset"]
    assert await page.evaluate("seen[2].slice(1)") == [{"reason": "trimmed", "position": "e.3-0"}, "e.3-0"]


async def test_each_tab_with_its_own_event_source_has_its_own_connection(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    """What the client's shared connection saves."""
    await asyncio.gather(listening(profile, server), listening(profile, server))

    await server.next()
    await server.next()

    assert server.streams == 2


READ = """
([kinds]) => new Promise((resolve) => {
  const read = [];
  const source = new EventSource("/events?user=ada");
  for (const kind of kinds) {
    source.addEventListener(kind, ({ type, data, lastEventId }) => read.push({ type, data, lastEventId }));
  }
  source.onerror = () => {
    source.close();
    resolve(read);
  };
})
"""


async def test_chromium_reads_every_stream_of_the_table_as_the_table_says(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    """Row 40: what is written for any data, type and id says that, and injects nothing."""
    page = await profile.new_page()
    await page.goto(server.url)
    long = {"name": "a line of 1 MB", "stream": f"data: {'x' * 1_000_000}\n\n"}
    cases = [*CASES, long | {"events": [{"type": "message", "data": "x" * 1_000_000, "lastEventId": ""}]}]
    differing = []

    for case in cases:
        kinds = ["message", "evil", *{event["type"] for event in case["events"]} - {"message"}]
        reading = asyncio.ensure_future(page.evaluate(READ, [kinds]))
        stream = await server.next()
        await stream.answer(HTTPStatus.OK, "text/event-stream", case["stream"].encode())
        stream.end()
        if await reading != case["events"]:
            differing.append((case["name"], reading.result()))

    assert differing == []
