"""The seam between replay and live, explored with the hub's own code over streams in memory.

Any interleaving of appends, trims, rollbacks with a new epoch, live copies lost or doubled, outages,
reconnects and reads that take their time gives a page exactly its stream, or a reset.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventbridge.adapters.memory.feed import live_copy
from eventbridge.application.gateway_ports import LiveCopies
from eventbridge.domain.routing import shard_of, user

from .hub_under_test import ANN, LIFE_MS, HubUnderTest, Page, eventually, pause

SHARD = shard_of(ANN, 2)
PAGES = 3


class Seam:
    """A hub, the pages of one user, and the stream as it ought to be."""

    def __init__(self, world: HubUnderTest) -> None:
        self.world = world
        self.pages: list[Page | None] = [None] * PAGES
        self.earlier: list[list[str]] = [[] for _ in range(PAGES)]
        """What each page got over connections that have ended."""
        self.positions: list[str | None] = [None] * PAGES
        self.starts: list[int | None] = [None] * PAGES
        """How long the stream was when each page was seen to have a position."""
        self.stream: list[str] = []
        """All that was appended and not rolled back, trimmed entries too."""
        self.states: list[tuple[Any, list[str]]] = []
        self.old: list[LiveCopies] = []
        self.rolled_back = False

    async def publish(self, a: int, b: int) -> None:
        """Append some; sometimes the live copies of the first ones are lost."""
        self.states.append((self.world.sink.snapshot(SHARD), list(self.stream)))
        if a % 2:
            self.world.feed.lose_next_live(a % 3)
        for _ in range(1 + b % 4):
            await self.world.publish(1)
            self.stream.append(str(self.world.count))
        entry = self.world.sink.stream(user(ANN))[-1]
        self.old.append(LiveCopies(self.world.epoch(SHARD) or "", [live_copy(user(ANN), entry)]))

    async def publish_unheard(self, _a: int, b: int) -> None:
        """Append some, and lose all their live copies: nothing but a read finds them."""
        for _ in range(1 + b % 3):
            self.world.feed.lose_next_live(1)
            await self.publish(0, 0)

    async def say_again(self, a: int, _b: int) -> None:
        """A live copy comes once more, late."""
        if self.old:
            self.world.feed.say(self.old[-1 - a % min(len(self.old), 4)])

    async def trim(self, a: int, _b: int) -> None:
        """The stream loses its oldest entries."""
        self.world.feed.trim(user(ANN), 1 + a % 4)

    async def roll_back(self, a: int, _b: int) -> None:
        """The shard loses its last writes; they are not replayed here."""
        if self.states:
            del self.states[len(self.states) - a % min(len(self.states), 3) :]
        if self.states:
            state, self.stream = self.states.pop()
            self.stream = list(self.stream)
            self.world.sink.restore(SHARD, state)
            self.rolled_back = True

    async def notice(self, _a: int, _b: int) -> None:
        """A bridge finds that the shard was rolled back."""
        if self.rolled_back:
            self.world.clock.advance(0.001)
            await self.world.notice(SHARD)
            self.rolled_back = False

    async def connect(self, a: int, b: int) -> None:
        """A page connects, from where it was or, the first time, at the end or some entries back."""
        number = a % PAGES
        if self.pages[number] is None:
            self.pages[number] = self.world.page(after=self.positions[number], max_events=8 + b)

    async def disconnect(self, a: int, _b: int) -> None:
        """A page goes away, and keeps its position."""
        number = a % PAGES
        page = self.pages[number]
        if page is not None:
            await page.close()
            self.earlier[number] += page.events
            self.positions[number] = page.position or self.positions[number]
            self.pages[number] = None

    async def hold(self, _a: int, _b: int) -> None:
        """Reads look, and do not answer."""
        self.world.feed.hold()

    async def release(self, _a: int, _b: int) -> None:
        """Reads answer."""
        self.world.feed.release()

    async def outage(self, a: int, _b: int) -> None:
        """The store is away, or back."""
        if a % 3:
            self.world.feed.come_back()
        else:
            self.world.feed.go_down()

    async def resubscribe(self, _a: int, _b: int) -> None:
        """The subscription breaks and is confirmed again."""
        self.world.feed.resubscribe()

    async def wait(self, a: int, b: int) -> None:
        """Everybody works for a while."""
        await self.world.turn(b)
        await pause(3 * a)

    def note_starts(self) -> None:
        """A page has begun once it has got its first position."""
        for number, page in enumerate(self.pages):
            if self.starts[number] is None and page is not None and page.position:
                self.starts[number] = len(self.stream)

    def got(self, number: int) -> list[str]:
        """All events and resets that a page got, over all its connections."""
        page = self.pages[number]
        found = self.earlier[number] + (page.events if page else [])
        return [event for event in found if event not in {"stale", "fresh"}]


Step = Callable[[Seam, int, int], Awaitable[None]]
History = Sequence[tuple[Step, int, int]]

CALM: Sequence[Step] = (
    *[Seam.publish] * 4,
    *[Seam.publish_unheard] * 3,
    Seam.say_again,
    *[Seam.connect] * 3,
    *[Seam.disconnect] * 2,
    Seam.hold,
    *[Seam.release] * 2,
    Seam.outage,
    Seam.resubscribe,
    *[Seam.wait] * 5,
)
WILD: Sequence[Step] = (*CALM, *[Seam.trim] * 2, *[Seam.roll_back] * 2, *[Seam.notice] * 2)


def histories(steps: Sequence[Step]) -> st.SearchStrategy[History]:
    return st.lists(
        st.tuples(st.sampled_from(steps), st.integers(0, 11), st.integers(0, 11)), min_size=15, max_size=40
    )


async def play(history: History) -> list[tuple[list[str], list[str], int]]:
    """Per page: what it got, the stream, and how much of it at least came after the page had begun."""
    async with HubUnderTest(page_entries=3, life_ms=100 * LIFE_MS).running() as world:
        seam = Seam(world)
        for number in range(PAGES):
            await seam.connect(number, 0)
        await eventually(lambda: all(page is not None and page.position for page in seam.pages))
        seam.note_starts()
        await seam.disconnect(PAGES - 1, 0)
        for step, a, b in history:
            await step(seam, a, b)
            seam.note_starts()
        world.feed.release()
        world.feed.come_back()
        await seam.notice(0, 0)
        for number in range(PAGES):
            if seam.pages[number] is None or seam.pages[number].ended:  # type: ignore[union-attr] # tested before
                await seam.disconnect(number, 0)
                await seam.connect(number, 0)
        await eventually(lambda: all(page is not None and page.session.live for page in seam.pages))
        await seam.publish(0, 0)
        world.feed.resubscribe()
        await eventually(lambda: all(seam.got(n)[-1:] == seam.stream[-1:] for n in range(PAGES)))
        ends = [
            len(seam.stream) - min(len(seam.stream) if start is None else start, len(seam.stream))
            for start in seam.starts
        ]
        return [(seam.got(number), seam.stream, ends[number]) for number in range(PAGES)]


@settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(histories(CALM))
def test_without_losses_a_page_gets_exactly_its_stream_and_no_reset(history: History) -> None:
    for got, stream, at_least in asyncio.run(play(history)):
        assert len(got) >= at_least
        assert got == stream[-len(got) :]


@settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(histories(WILD))
def test_whatever_is_lost_a_page_gets_its_stream_without_a_hole_since_its_last_reset(
    history: History,
) -> None:
    for got, stream, at_least in asyncio.run(play(history)):
        resets = [place for place, event in enumerate(got) if event.startswith("reset")]
        since = got[resets[-1] + 1 :] if resets else got
        assert resets or len(got) >= at_least
        kept = [event for event in since if event in stream]  # what was rolled back may have been sent
        assert kept == stream[-len(kept) :]
