"""`eventbridge demo` as a person meets it who opens its page: things are broken by its buttons."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, expect

PROGRAM = str(Path(sys.executable).with_name("eventbridge"))
SCREENSHOTS = Path(__file__).parents[3] / ".cache" / "screenshots"
PATIENCE_MS = 30_000


@asynccontextmanager
async def real_demo(directory: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The program, and the address that its first line tells."""
    process = await asyncio.create_subprocess_exec(
        *(PROGRAM, "demo", "--port", "0", "--users", "3", "--rate", "20"),
        env={**os.environ, "TMPDIR": str(directory)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        assert process.stdout is not None
        first = (await process.stdout.readline()).decode()
        address = re.search(r"http://127\.0\.0\.1:\d+/", first)
        assert address is not None, first
        yield process, address[0]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def number(page: Page, name: str) -> int:
    return int(await page.locator(f"#{name}").inner_text())


async def proof(page: Page) -> dict[str, int]:
    return {name: await number(page, name) for name in ("missing", "repeated", "resets")}


async def press(page: Page, name: str) -> None:
    await page.get_by_role("button", name=name, exact=True).press("Enter")


async def shows(page: Page, **words: str) -> None:
    """Wait until the elements of these names hold these words."""
    for name, text in words.items():
        await expect(page.locator(f"#{name.replace('_', '-')}")).to_have_text(text, timeout=PATIENCE_MS)


async def caught_up(page: Page) -> None:
    """Wait until everything that had been produced by now is shown."""
    produced = await number(page, "produced")
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while await number(page, "shown") < produced:
            await page.evaluate("() => new Promise(requestAnimationFrame)")


async def photographed(page: Page, moment: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for width, height in ((390, 844), (1440, 900)):
        await page.set_viewport_size({"width": width, "height": height})
        await page.screenshot(path=SCREENSHOTS / f"real-demo-{moment}-{width}.png", full_page=width == 390)


def left_in(directory: Path) -> list[str]:
    return [entry.name for entry in directory.iterdir()]


@pytest.mark.timeout(120)
async def test_a_person_breaks_everything_by_the_pages_buttons_and_nothing_is_missed(
    profile: BrowserContext, tmp_path: Path
) -> None:
    page = await profile.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    async with real_demo(tmp_path) as (process, address):
        await page.goto(address)
        await shows(page, state="starting")
        await shows(page, state="live", bridge="runs", circuit="closed")
        await expect(page.locator("#events li")).not_to_have_count(0)

        await press(page, "Stop Redis")
        await shows(page, redis="is stopped", circuit="open", state="stale: Redis is away")
        await expect(page.locator("#on-the-way")).not_to_have_text("0")
        await photographed(page, "redis-stopped")
        start = page.get_by_role("button", name="Start Redis")
        await expect(start).to_be_focused()
        await start.press("Space")
        await shows(page, redis="runs", circuit="closed", state="live")
        await caught_up(page)

        await press(page, "Kill the bridge")
        await shows(page, bridge="was killed")
        await expect(page.get_by_role("button", name="Start the bridge")).to_be_focused()
        await shows(page, bridge="runs")
        await caught_up(page)

        await press(page, "Cut the connection")
        await shows(page, state="live", reconnects="1")
        await caught_up(page)
        await photographed(page, "recovered")

        produced, broken = await number(page, "produced"), await proof(page)
        await page.get_by_role("combobox", name="User").select_option("Bertolt")
        await shows(page, state="live")
        await caught_up(page)
        of_another_user = await proof(page)
        process.terminate()
        rest, _ = await process.communicate()
        await shows(page, state="reconnecting", redis="unknown", bridge="unknown")

    assert process.returncode == 0, rest.decode()[-2000:]
    assert rest.decode().splitlines()[-1].endswith("0 missing, 0 twice")
    assert produced > 20
    assert broken == of_another_user == {"missing": 0, "repeated": 0, "resets": 0}
    assert complaints == []
    assert left_in(tmp_path) == []
