"""A tab that follows a stream with the client, and what its page has seen."""

from __future__ import annotations

import json
from typing import Any

from playwright.async_api import BrowserContext, Frame, Page

FOLLOW = """
async (options) => {
  const { connect } = await import("/client/index.js");
  window.seen = [];
  window.states = [];
  window.tickets = 0;
  const { tickets, ticketsAt, tokens, url, ...rest } = options;
  if (tickets) rest.ticket = async () => ({ ticket: `${tickets}-${++window.tickets}`, position: ticketsAt });
  if (tokens) rest.token = async () => (tokens.length > 1 ? tokens.shift() : tokens[0]);
  window.stream = connect(url, {
    ...rest,
    onEvent: ({ data }) => seen.push(data.number),
    onReset: ({ reason, position }) => seen.push(`reset ${reason} ${position}`),
    onStale: () => seen.push("stale"),
    onFresh: () => seen.push("fresh"),
    onState: ({ state, reason }) => states.push(reason ? `${state}: ${reason}` : state),
  });
}
"""


class Tab:
    """One tab of a profile; it is the frame within its page that follows, where one is given."""

    def __init__(self, page: Page, options: dict[str, object], frame: Frame | None = None) -> None:
        self.page = page
        self._frame = frame or page.main_frame
        self._options = options

    async def follow(self) -> None:
        await self._frame.evaluate(FOLLOW, self._options)

    async def reload(self, **options: object) -> None:
        """Load the page anew, with options that may differ."""
        await self.page.reload()
        self._options |= options
        await self.follow()

    async def until(self, condition: str) -> None:
        await self._frame.wait_for_function(condition, polling=20)

    async def until_seen(self, *expected: object) -> None:
        await self._frame.wait_for_function(
            "(expected) => JSON.stringify(seen) === expected",
            arg=json.dumps(expected, separators=(",", ":")),
            polling=20,
        )

    async def get(self, expression: str) -> Any:
        return await self._frame.evaluate(expression)


async def open_tab(
    profile: BrowserContext,
    address: str,
    *,
    user: str = "ada",
    url: str = "/events?user=ada",
    **options: object,
) -> Tab:
    """A new tab with a page of this address, that follows the stream."""
    page = await profile.new_page()
    await page.goto(address)
    tab = Tab(page, {"user": user, "url": url, **options})
    await tab.follow()
    return tab
