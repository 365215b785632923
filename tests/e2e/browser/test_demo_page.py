"""The demo's page as a person meets it: by mouse and keyboard, narrow and wide, light and dark."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from tests.e2e.browser.scripted_server import ScriptedServer
from tests.e2e.browser.staged_demo import ADA, BOB, NOW, Stage, Stream, staged_demo

SCREENSHOTS = Path(__file__).parents[3] / ".cache" / "screenshots"
WIDTHS = [(360, 740), (390, 844), (1280, 800), (1440, 900)]


async def proof(page: Page) -> dict[str, int]:
    names = ("produced", "shown", "on-the-way", "missing", "repeated", "resets")
    return {name: int(await page.locator(f"#{name}").inner_text()) for name in names}


async def test_the_page_proves_that_everything_produced_is_shown_once(profile: BrowserContext) -> None:
    stage = Stage()
    page = await profile.new_page()
    async with staged_demo(stage) as (url, streams):
        await page.goto(url)
        stream = await streams.next()
        for number in range(1, 6):
            stage.produce(number)
        for number in range(1, 5):
            stream.event(number)

        await expect(page.locator("#produced")).to_have_text("5")
        await expect(page.locator("#shown")).to_have_text("4")

        assert stream.query["user"] == [ADA]
        assert await proof(page) == {
            "produced": 5,
            "shown": 4,
            "on-the-way": 1,
            "missing": 0,
            "repeated": 0,
            "resets": 0,
        }
        await expect(page.locator("#state")).to_have_text("live")
        await expect(page.locator("#position")).to_have_text("e.4-0")
        await expect(page.locator("#events li")).to_have_count(4)


async def test_the_page_tells_what_is_missing_and_what_came_twice(profile: BrowserContext) -> None:
    stage = Stage()
    page = await profile.new_page()
    async with staged_demo(stage) as (url, streams):
        await page.goto(url)
        stream = await streams.next()
        for number in (1, 2, 3):
            stage.produce(number)
        for number in (1, 3, 3):
            stream.event(number)

        await expect(page.locator("#verdict")).to_have_text("1 missing, 1 repeated")

        await expect(page.locator("#events li")).to_have_count(2)


async def test_what_comes_again_after_a_reset_is_no_repeat(profile: BrowserContext) -> None:
    stage = Stage()
    page = await profile.new_page()
    async with staged_demo(stage) as (url, streams):
        await page.goto(url)
        stream = await streams.next()
        for number in (1, 2):
            stage.produce(number)
        stream.event(1)
        stream.reset(0)
        stream.event(1)
        stream.event(2)

        await expect(page.locator("#verdict")).to_have_text("0 missing, 0 repeated")
        await expect(page.locator("#resets")).to_have_text("1")

        await expect(page.get_by_role("alert")).to_contain_text("Reset (trimmed)")
        await expect(page.locator("#shown")).to_have_text("2")


async def test_the_page_shows_how_the_connection_fares(profile: BrowserContext) -> None:
    page = await profile.new_page()
    state = page.locator("#state")
    async with staged_demo(Stage()) as (url, streams):
        await page.goto(url)
        stream = await streams.next()
        await expect(state).to_have_text("live")
        stream.say("stale")
        await expect(state).to_have_text("stale: Redis is away")
        stream.say("fresh")
        await expect(state).to_have_text("live")
        stream.end()
        await streams.next()

        await expect(page.locator("#reconnects")).to_have_text("1")

        await expect(state).to_have_text("live")


async def test_a_connection_that_the_server_cuts_goes_on_by_itself_where_it_was(
    profile: BrowserContext,
) -> None:
    page = await profile.new_page()
    async with staged_demo(Stage()) as (url, streams):
        await page.goto(url)
        stream = await streams.next()
        stream.event(1)
        await expect(page.locator("#position")).to_have_text("e.1-0")
        await page.get_by_role("button", name="Cut the connection").press("Enter")

        again = await streams.next()

        assert again.last_event_id == "e.1-0"
        await expect(page.locator("#reconnects")).to_have_text("1")


async def test_ages_are_counted_from_kafkas_timestamp_and_only_those_of_news_are_drawn(
    profile: BrowserContext,
) -> None:
    page = await profile.new_page()
    await page.clock.set_fixed_time(NOW - 2)
    async with staged_demo(Stage()) as (url, streams):
        await page.goto(url)
        stream = await streams.next()
        await page.clock.set_fixed_time(NOW)
        stream.event(1, age_ms=60_000)
        stream.event(2, age_ms=1_234)

        await expect(page.locator("#events data")).to_have_text(["1234 ms", "60.0 s"])

        await expect(page.locator("#age")).to_have_text("1234 ms")
        await expect(page.locator("#plot rect")).to_have_count(1)


async def test_a_frozen_page_says_so_and_shows_what_came_meanwhile_when_it_thaws(
    profile: BrowserContext,
) -> None:
    page = await profile.new_page()
    async with staged_demo(Stage()) as (url, streams):
        await page.goto(url)
        stream = await streams.next()
        await expect(page.locator("#state")).to_have_text("live")
        await page.evaluate(
            """() => {
                window.states = [];
                const state = document.querySelector("#state");
                const seen = new MutationObserver(() => states.push(state.textContent));
                seen.observe(state, { childList: true });
                document.querySelector("#freeze").click();
            }"""
        )
        stream.event(1)
        await expect(page.locator("#state")).to_have_text("live", timeout=20_000)
        await expect(page.locator("#events li")).to_have_count(1)
        states = await page.evaluate("() => states")

        assert states == ["frozen", "live"]


async def test_redis_is_stopped_and_started_by_keyboard(profile: BrowserContext) -> None:
    stage = Stage()
    page = await profile.new_page()
    async with staged_demo(stage) as (url, streams):
        await page.goto(url)
        await streams.next()
        await page.get_by_role("button", name="Stop Redis").press("Enter")
        await expect(page.locator("#redis")).to_have_text("is stopped")
        stopped = stage.redis_runs
        start = page.get_by_role("button", name="Start Redis")
        await expect(start).to_be_focused()
        await start.press("Space")
        await expect(page.locator("#redis")).to_have_text("runs")

        assert (stopped, stage.redis_runs) == (False, True)


async def test_another_user_is_chosen(profile: BrowserContext) -> None:
    page = await profile.new_page()
    async with staged_demo(Stage()) as (url, streams):
        await page.goto(url)
        (await streams.next()).event(1)
        await expect(page.locator("#events li")).to_have_count(1)
        await page.get_by_role("combobox", name="User").select_option("Bob")

        stream = await streams.next()

        assert stream.query["user"] == [BOB]
        await expect(page.locator("#events li")).to_have_count(0)


async def test_without_a_stage_a_user_is_named_and_what_only_a_stage_knows_is_hidden(
    profile: BrowserContext,
) -> None:
    page = await profile.new_page()
    async with staged_demo(None) as (url, streams):
        await page.goto(url)
        user = page.get_by_role("textbox", name="User")
        await user.fill("ada")
        await page.keyboard.press("Enter")
        refused = await user.evaluate("input => input.matches(':user-invalid') && !input.checkValidity()")
        await user.fill(ADA)
        await page.keyboard.press("Enter")
        stream = await streams.next()
        stream.event(1)

        await expect(page.locator("#shown")).to_have_text("1")

        assert refused
        assert stream.query["user"] == [ADA]
        await expect(page.locator("#verdict")).to_have_text("0 repeated")
        for hidden in ("Produced", "Missing", "Circuit"):
            await expect(page.get_by_text(hidden, exact=True)).to_be_hidden()


async def test_a_page_of_another_origin_cannot_stop_redis(
    profile: BrowserContext, server: ScriptedServer
) -> None:
    stage = Stage()
    page = await profile.new_page()
    async with staged_demo(stage) as (url, _):
        await page.goto(server.url)
        await page.evaluate(
            "(url) => fetch(url, { method: 'POST', mode: 'no-cors' })", f"{url}demo/actions/stop-redis"
        )

        assert stage.redis_runs


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", WIDTHS, ids=lambda size: str(size[0]))
async def test_the_page_fits_and_complains_of_nothing(
    browser: Browser, size: tuple[int, int], scheme: Literal["light", "dark"]
) -> None:
    """Nothing is cut off or wider than the screen, and the policy for its content refuses nothing."""
    stage = Stage()
    complaints: list[str] = []
    page = await browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    page.on("console", lambda message: complaints.append(_complaint(message)))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.clock.set_fixed_time(NOW - 60)
    async with staged_demo(stage) as (url, streams):
        await page.goto(url)
        stream = await streams.next()
        await page.clock.set_fixed_time(NOW)
        _play(stage, stream)
        await expect(page.locator("#shown")).to_have_text("40")
        await expect(page.locator("#plot rect")).to_have_count(40)

        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=SCREENSHOTS / f"demo-{size[0]}-{scheme}.png", full_page=True)
        overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        small = await page.evaluate(
            "[...document.querySelectorAll('button, select')]"
            ".filter((control) => control.offsetParent && control.offsetHeight < 44).length"
        )

        assert (overflow <= 0, small, complaints) == (True, 0, [])
    await page.close()


def _play(stage: Stage, stream: Stream) -> None:
    for number in range(1, 43):
        stage.produce(number, session=f"s-{number % 3}")
        if number == 20:
            stream.reset(19)
        if number <= 40:
            stream.event(number, age_ms=8 + (number * 37) % 90 + (4_000 if 22 <= number < 27 else 0))


def _complaint(message: ConsoleMessage) -> str:
    return f"{message.type}: {message.text}"
