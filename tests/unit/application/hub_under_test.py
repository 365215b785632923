"""A hub over streams in memory, pages that read from it, and what its tests ask of them."""

import asyncio
import contextlib
import json
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from eventbridge.adapters.memory import ManualClock, MemoryEventFeed, MemoryEventSink
from eventbridge.application.gateway_ports import DeliveryTracing
from eventbridge.application.hub_settings import HubSettings
from eventbridge.application.live_hub import TURN_SECONDS, LiveHub
from eventbridge.application.mailbox import Mailbox
from eventbridge.application.stream_session import StreamStart
from eventbridge.domain.delivery import Batch, Mark, Partition
from eventbridge.domain.message import SSEMessage
from eventbridge.domain.routing import Target, user

from ..domain.sse_parser import EventStreamParser

ANN, BEN = (str(uuid.UUID(int=n)) for n in (1, 2))
LIFE_MS = 100_000


class CountingGatewayTelemetry:
    """The `GatewayTelemetry` port as numbers that a test can read."""

    def __init__(self) -> None:
        self.open = 0
        self.ends: Counter[str] = Counter()
        self.resumes: Counter[str] = Counter()
        self.ages: list[int | None] = []

    def connected(self) -> None:
        self.open += 1

    def disconnected(self, reason: str) -> None:
        self.open -= 1
        self.ends[reason] += 1

    def resumed(self, result: str) -> None:
        self.resumes[result] += 1

    def delivered(self, timestamps: Sequence[int | None], now_ms: int) -> None:
        self.ages += [None if ms is None else now_ms - ms for ms in timestamps]

    def failed_open(self, limit: str) -> None:
        raise AssertionError(f"the hub has no limits: {limit}")


class Page:
    """A browser's page: reads what comes, and remembers the last event id."""

    def __init__(self, hub: "HubUnderTest", target: Target, start: StreamStart, **options: Any) -> None:
        bounds = {name: options.pop(name) for name in ("max_events", "max_bytes") if name in options}
        self.mailbox = Mailbox(hub.telemetry, hub.clock, **bounds)
        self.received = b""
        self.session = hub.hub.open(target, self.mailbox, start, **options)
        self._reading: asyncio.Task[None] | None = None
        self._takes = asyncio.Event()
        self._takes.set()

    @property
    def position(self) -> str:
        """The last event id."""
        parser = EventStreamParser()
        parser.feed(self.received)
        return parser.last_event_id

    @property
    def events(self) -> list[str]:
        """What came, in order: an event's number, or `reset:<reason>`, `stale`, `fresh`."""
        found = []
        for event in EventStreamParser().feed(self.received):
            data = json.loads(event.data)
            if event.type == "reset":
                found.append(f"reset:{data['reason']}")
            else:
                found.append(str(data["n"]) if "n" in data else event.type)
        return found

    def read(self) -> None:
        """Read on, from now on."""

        async def fetch() -> None:
            async for chunk in self.mailbox.frames():
                self.received += chunk
                await self._takes.wait()

        self._reading = asyncio.create_task(fetch())

    def freeze(self) -> None:
        """Take one chunk more, and then none."""
        self._takes.clear()

    @property
    def ended(self) -> bool:
        """Whether the stream came to its end."""
        return self._reading is not None and self._reading.done()

    async def close(self) -> None:
        """Go away."""
        self.session.close("gone")
        self._takes.set()
        if self._reading is not None:
            await self._reading


class HubUnderTest:
    """A hub, its surroundings, and its pages."""

    def __init__(
        self,
        *,
        shards: int = 2,
        life_ms: int = LIFE_MS,
        tracing: DeliveryTracing | None = None,
        **settings: Any,
    ) -> None:
        self.clock = ManualClock(1_000_000)
        self._epochs = 0
        self.sink = MemoryEventSink(shards, clock=self.clock, spare_epoch=self._spare_epoch)
        self.feed = MemoryEventFeed(self.sink, self.clock, life_ms=life_ms)
        self.telemetry = CountingGatewayTelemetry()
        quick: dict[str, Any] = {"probe_seconds": (0.001, 0.001)}
        self.hub = LiveHub(
            self.feed,
            self.telemetry,
            self.clock,
            HubSettings(**(quick | settings)),
            tracing=tracing,
            chance=random.Random(1),
        )
        self.pages: list[Page] = []
        self.count = 0

    @asynccontextmanager
    async def running(self, *, written: bool = True) -> AsyncIterator[Self]:
        """Run the hub in the block, over shards that a bridge has initialised, if they are `written`."""
        if written:
            for shard in range(self.sink.shards):
                await self.sink.apply(Batch(shard, (Mark(Partition("t", 0), None, 0),)))
        task = asyncio.create_task(self.hub.run())
        try:
            yield self
        finally:
            for page in self.pages:
                await page.close()
            task.cancel()
            await asyncio.wait([task])

    def page(
        self,
        user_id: str = ANN,
        *,
        after: str | None = None,
        last: int = 0,
        reads: bool = True,
        **options: Any,
    ) -> Page:
        """Open a page, which begins to read."""
        page = Page(self, user(user_id), StreamStart(after, last), **options)
        self.pages.append(page)
        if reads:
            page.read()
        return page

    async def live_page(self, user_id: str = ANN, **options: Any) -> Page:
        """Open a page, and wait until it is live."""
        page = self.page(user_id, **options)
        await eventually(lambda: page.session.live and bool(page.position))
        return page

    async def publish(self, count: int = 1, user_id: str = ANN, size: int = 0) -> str:
        """Append events with rising numbers, a millisecond apart; answers the last one's position."""
        position = ""
        for _ in range(count):
            self.count += 1
            self.clock.advance(0.001)
            data = json.dumps({"n": self.count, "x": "x" * size}).encode()
            position = await self.sink.publish_event(user_id, SSEMessage(event="E", data=data))
        return position

    async def turn(self, seconds: float) -> None:
        """Let the hub's own time pass."""
        for _ in range(round(seconds / TURN_SECONDS)):
            self.clock.advance(TURN_SECONDS)
            await self.hub.tick()

    async def notice(self, shard: int) -> None:
        """A bridge finds a watermark below what it knows, and changes the epoch."""
        epoch = self.epoch(shard)
        await self.sink.apply(Batch(shard, (Mark(Partition("t", 0), 99, 100, epoch=epoch),)))

    def epoch(self, shard: int) -> str | None:
        """The shard's present epoch."""
        return self.sink.snapshot(shard).epoch

    def _spare_epoch(self) -> str:
        self._epochs += 1
        return f"epoch{self._epochs:03}"


async def eventually(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until the condition holds, without letting time pass; fail after the limit."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - any state of the world may be awaited, with a limit
            await asyncio.sleep(0)


async def shows(page: Page, events: Sequence[str]) -> None:
    """Wait until the page has got exactly these events."""
    await eventually(lambda: page.events == list(events))


async def pause(turns: int) -> None:
    """Let the others run for so many turns of the loop."""
    for _ in range(turns):
        await asyncio.sleep(0)


def numbers(first: int, last: int) -> list[str]:
    """The events from one number to another."""
    return [str(n) for n in range(first, last + 1)]


@contextlib.contextmanager
def complaints() -> Any:
    """Collect what the loop's exception handler is told."""
    told: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context))
    try:
        yield told
    finally:
        loop.set_exception_handler(None)
