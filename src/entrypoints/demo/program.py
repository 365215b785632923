"""Starts everything, plays until it is to end, and takes everything down again."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from dependency_injector import providers

from ...adapters.redis.sse_service import RedisSSEService
from ..container import Container
from ..settings import BreakerGroup, KafkaGroup, RedisGroup, Settings
from .board import Board, RedisState, UserPage
from .errors import DemoFailed
from .notes_from_log import log_into
from .screen import Screen
from .servers import TOPIC, EmbeddedServers
from .terminal_keys import keys
from .traffic import Player, follow_page

FIRST_EVENT_SECONDS = 60.0
"""Without any event by then something is wrong with this machine."""

ARRIVAL_SECONDS = 5.0
"""For what is on the way when the end is asked for."""

STOP_SECONDS = 12.0
"""For the bridge to finish what is in flight, commit and leave the group."""

_DRAW_SECONDS = 0.15

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What can be chosen."""

    seconds: float | None = None
    """How long to play after the first event; None: until it is ended."""
    users: int = 4
    rate: float = 5.0
    """Events a second, of all users together."""
    seed: int = 1


class EndAsked(Exception):
    """The end was asked for before everything was there."""


@dataclass(frozen=True, slots=True)
class _Recovery:
    """Redis is back; these events had been sent by then."""

    sent: int
    waited: int


class Demo:
    """One run of the demo on a screen; for one event loop."""

    def __init__(self, options: DemoOptions, board: Board, screen: Screen) -> None:
        self._options = options
        self._board = board
        self._screen = screen
        self._asked = asyncio.Event()
        self._hurry = False
        self._arrival = asyncio.Event()
        self._news = asyncio.Event()
        self._switch = asyncio.Event()
        self._recovery: _Recovery | None = None
        self._stopped_at = 0.0
        self._draw_at_once = asyncio.Event()

    async def run(self) -> None:
        """Play until it is to end; then nothing of it is left but what the board says.

        A signal asks for the end, a second one does not wait for what is on the way. Raises `DemoFailed`,
        and whatever ends the bridge by itself.
        """
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._end)
        with keys(self._pressed) as self._board.keyboard:
            drawing = asyncio.create_task(self._draw_forever())
            playing = asyncio.create_task(self._play())
            try:
                await asyncio.wait({drawing, playing}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await _cancelled(playing)
                await _cancelled(drawing)
            for task in (playing, drawing):
                if not task.cancelled():
                    task.result()

    def _pressed(self, key: str) -> None:
        if key in "qQ":
            self._end()
        elif key in "rR" and not self._board.starting:
            self._switch.set()

    def _end(self) -> None:
        self._hurry = self._asked.is_set()
        self._asked.set()
        self._news.set()

    def _note(self, text: str) -> None:
        self._screen.noted(self._board.note(text))
        self._draw_at_once.set()

    async def _draw_forever(self) -> None:
        while True:
            self._see_recovery()
            self._screen.draw()
            self._draw_at_once.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DRAW_SECONDS):
                    await self._draw_at_once.wait()

    async def _play(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            with contextlib.suppress(EndAsked):
                self._starting("starting Redis and Kafka")
                servers = await self._unless_asked(stack.enter_async_context(EmbeddedServers()))
                stack.enter_context(log_into(servers.directory / "bridge.log", self._note))
                container = self._wired(servers)
                stack.push_async_callback(_shut_down, container)
                streams = RedisSSEService(container.redis_settings(), container.settings().source)
                stack.push_async_callback(streams.close)
                await self._carry(container, servers, streams)

    def _wired(self, servers: EmbeddedServers) -> Container:
        """The bridge as `eventbridge run` wires it, but for its numbers, which go to the screen."""
        settings = Settings(
            source="demo",
            kafka=KafkaGroup(bootstrap_servers=(servers.kafka,), topics=(TOPIC,)),
            redis=RedisGroup.model_validate({"url": servers.redis_url}),
            # Quicker than by default, so that it can be watched: at few calls a second a window of ten
            # seconds takes five to fill with failures.
            breaker=BreakerGroup(window_seconds=3, probe_interval_seconds=0.5, probe_interval_max_seconds=2),
        )
        container = Container(settings=settings)
        container.telemetry.override(providers.Object(self._board.numbers))
        # The mock broker answers at the end of this wait, not when a record comes, as Kafka does.
        kafka = replace(container.kafka_settings(), fetch_max_wait_seconds=0.02)
        container.kafka_settings.override(providers.Object(kafka))
        return container

    async def _carry(self, container: Container, servers: EmbeddedServers, streams: RedisSSEService) -> None:
        board, options = self._board, self._options
        self._starting("joining the consumer group (the embedded broker takes 3 s)")
        bridge = await self._unless_asked(container.bridge.async_())
        player = Player(container.kafka_clients(), TOPIC, board, users=options.users, seed=options.seed)
        carrying = asyncio.create_task(bridge.run())
        around = {
            asyncio.create_task(follow_page(streams, page, board.check, self._arrived))
            for page in board.pages
        }
        around |= {
            asyncio.create_task(_never_ended(servers)),
            asyncio.create_task(self._switch_redis_forever(servers)),
        }
        playing = asyncio.create_task(self._play_once_joined(player))
        try:
            await self._until_asked({carrying, playing, *around})
            board.ending = "ending"
            player.stop()
            await asyncio.wait({playing}, timeout=STOP_SECONDS)
            await self._let_arrive()
            bridge.stop()
            await asyncio.wait({carrying}, timeout=STOP_SECONDS)
            if carrying.done():
                carrying.result()
        finally:
            await _cancelled(carrying, playing, *around)

    async def _play_once_joined(self, player: Player) -> None:
        await self._board.numbers.joined.wait()
        self._starting("waiting for the first event")
        await player.play(self._options.rate)

    async def _until_asked(self, tasks: set[asyncio.Task[None]]) -> None:
        """Wait for the end; what breaks down before it is raised."""
        asked = asyncio.create_task(self._asked.wait())
        timing = asyncio.create_task(self._keep_time())
        try:
            done, _ = await asyncio.wait({asked, timing, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await _cancelled(asked, timing)

    async def _keep_time(self) -> None:
        try:
            async with asyncio.timeout(FIRST_EVENT_SECONDS):
                await self._arrival.wait()
        except TimeoutError:
            raise DemoFailed(f"no event arrived within {FIRST_EVENT_SECONDS:g} s") from None
        await asyncio.sleep(float("inf") if self._options.seconds is None else self._options.seconds)

    async def _let_arrive(self) -> None:
        """Wait for what is on the way, if it can come at all and nobody is in a hurry."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ARRIVAL_SECONDS):
                while self._missed and not self._hurry:
                    self._news.clear()
                    await self._news.wait()

    @property
    def _missed(self) -> int:
        """Events that should be there by now."""
        check = self._board.check
        return check.missing + (check.on_the_way if self._board.redis is RedisState.RUNS else 0)

    def verdict(self) -> tuple[str, bool]:
        """What the pages saw, in a sentence, and whether that is as promised."""
        check, redis = self._board.check, self._board.redis
        missing = self._missed
        text = f"{check.sent} events sent, {check.arrived} arrived: {missing} missing, {check.twice} twice"
        if check.late:
            text += f", {check.late} out of order"
        if redis is not RedisState.RUNS and check.on_the_way:
            text += f"; {check.on_the_way} more were waiting for Redis, which was stopped"
        return text, not (missing or check.twice or check.late)

    def _starting(self, what: str) -> None:
        self._board.starting = what
        self._draw_at_once.set()

    def _arrived(self, page: UserPage) -> None:
        self._board.starting = ""
        self._arrival.set()
        self._news.set()
        self._screen.arrived(page)

    async def _switch_redis_forever(self, servers: EmbeddedServers) -> None:
        board = self._board
        while True:
            await self._switch.wait()
            if board.redis is RedisState.RUNS:
                board.redis = RedisState.STOPPING
                await servers.stop_redis()
                board.redis, self._stopped_at = RedisState.STOPPED, time.monotonic()
                self._note("Redis is stopped; r starts it again")
            else:
                board.redis = RedisState.STARTING
                await servers.start_redis()
                away = time.monotonic() - self._stopped_at
                board.redis = RedisState.RUNS
                waiting = board.check.on_the_way
                self._recovery = _Recovery(board.check.sent, waiting)
                self._note(f"Redis is back after {away:.1f} s; events waiting for it: {waiting}")
            self._switch.clear()

    def _see_recovery(self) -> None:
        """Say it once when everything that had waited for Redis has arrived."""
        recovery, check = self._recovery, self._board.check
        if recovery is not None and check.settled(recovery.sent):
            self._recovery = None
            self._note(f"caught up: {recovery.waited} events had waited for Redis; {check}")

    async def _unless_asked(self, work: Awaitable[T]) -> T:
        """Await it, but no longer than until the end is asked for; raises `EndAsked` then."""
        working = asyncio.ensure_future(work)
        asked = asyncio.create_task(self._asked.wait())
        try:
            await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise EndAsked
            return working.result()
        finally:
            await _cancelled(working, asked)


async def _never_ended(servers: EmbeddedServers) -> None:
    await servers.ended()
    raise DemoFailed(f"the embedded servers have ended: {servers.complaint()}")


async def _cancelled(*tasks: asyncio.Future[Any]) -> None:
    """Cancel what still runs and wait until it has ended; what it raises then is lost."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def _shut_down(container: Container) -> None:
    if (closing := container.shutdown_resources()) is not None:
        await closing
