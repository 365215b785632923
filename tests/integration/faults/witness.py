"""The second oracle: what pages saw over all their connections, and every reset that they were told."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.integration.faults.oracle import Place, eventually, streams
from tests.integration.gateway.running import bearer, running_gateway
from tests.integration.gateway.sse_client import Page, ask


@dataclass
class Seen:
    """What one user's page saw."""

    user: str
    places: list[Place] = field(default_factory=list)
    """Since the last reset, or from the beginning."""
    resets: list[str] = field(default_factory=list)
    """Their reasons."""
    position: str = ""
    page: Page | None = None
    connects: int = 0

    def take(self, page: Page, taken: int) -> int:
        """Note what came since the last time; answers how much came in all."""
        for event in page.events[taken:]:
            data = json.loads(event.data)
            if event.type == "reset":
                self.resets.append(data["reason"])
                self.places.clear()
            elif event.type not in {"stale", "fresh"}:
                partition, number = data["payload"]
                self.places.append((partition, number))
        self.position = page.last_event_id or self.position
        return len(page.events)


class Witness:
    """Pages of all users, which come again whenever they are cut off."""

    def __init__(self, port: int, url: str, users: Iterable[str]) -> None:
        self.seen = [Seen(user) for user in users]
        self._port = port
        self._url = url

    def cut(self) -> None:
        """End every page's connection, whatever is under way on it."""
        for seen in self.seen:
            if seen.page is not None:
                seen.page.reset()

    @property
    def resets(self) -> Counter[str]:
        return Counter(reason for seen in self.seen for reason in seen.resets)

    @property
    def users_reset(self) -> set[str]:
        return {seen.user for seen in self.seen if seen.resets}

    def differing(self) -> list[str]:
        """Whose page does not show its stream: all of it, each event once, in order."""
        there = {
            user: [tuple(json.loads(fields[b"data"])["payload"]) for _, fields in entries]
            for user, entries in streams(self._url).items()
            if user in {seen.user for seen in self.seen}
        }
        return [
            f"{seen.user}: saw {len(seen.places)} of {len(there.get(seen.user, []))}, resets {seen.resets}"
            for seen in self.seen
            if seen.places != there.get(seen.user, [])
        ]

    async def saw_all(self) -> None:
        """Wait until every page shows exactly its stream."""
        with suppress(AssertionError):
            await eventually(lambda: not self.differing(), "every page to show its stream", 20)
        if differing := self.differing():
            raise AssertionError("\n".join(differing))

    async def watch(self, seen: Seen) -> None:
        """Be one user's page until cancelled."""
        while True:
            cursor = {"Last-Event-ID": seen.position} if seen.position else {}
            try:
                seen.page = page = await ask(self._port, "/events", {**bearer(seen.user), **cursor})
                seen.connects += 1
                taken = 0
                while await page.read():
                    taken = seen.take(page, taken)
            except (ConnectionError, asyncio.IncompleteReadError):
                continue
            finally:
                if seen.page is not None:
                    seen.page.leave()


@asynccontextmanager
async def witness(url: str, users: Iterable[str]) -> AsyncIterator[Witness]:
    """A gateway, and a page for each of the users; all are there when the block begins."""
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(
            running_gateway(url, max_connections_per_address=0, connects_per_second=0)
        )
        pages = Witness(gateway.port, url, users)
        watching = [asyncio.create_task(pages.watch(seen)) for seen in pages.seen]
        try:
            await gateway.until(
                lambda: all(seen.page is not None and seen.page.last_event_id for seen in pages.seen)
            )
            yield pages
        finally:
            for task in watching:
                task.cancel()
            await asyncio.wait(watching)
