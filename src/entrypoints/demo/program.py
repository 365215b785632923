"""Starts everything, plays until it is to end, and takes everything down again."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, TypeVar

from dependency_injector import providers

from ...adapters.kafka.client_manager import KafkaClientManager
from ...adapters.redis.sse_service import RedisSSEService
from ..adapter_settings import redis_settings
from ..gateway import Gateway
from ..gateway_container import GatewayContainer, show_demo_page
from ..settings import Settings
from ..telemetry import traced
from .board import Board, UserPage
from .controls import KILL_BRIDGE, START_BRIDGE, START_REDIS, STOP_REDIS, Controls
from .errors import DemoFailed
from .killable_bridge import KillableBridge
from .notes_from_log import log_into
from .screen import Screen
from .servers import TOPIC, EmbeddedServers
from .stage import Stage
from .terminal_keys import keys
from .traffic import Player, follow_page
from .wiring import demo_settings, kafka_settings

PAGE_PORT = 8080
"""Of the page, where nobody listens on it already."""

FIRST_EVENT_SECONDS = 60.0
"""Without any event by then something is wrong with this machine."""

ARRIVAL_SECONDS = 5.0
"""For what is on the way when the end is asked for."""

STOP_SECONDS = 12.0
"""For the bridge to finish what is in flight, commit and leave the group."""

_DRAW_SECONDS = 0.15

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_ACTIONS = {"r": (STOP_REDIS, START_REDIS), "k": (KILL_BRIDGE, START_BRIDGE)}
"""What a key does: whichever of them can be done."""

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
    port: int | None = None
    """Of the page; 0 is any free one, None is `PAGE_PORT`, or any free one where that is taken."""


class EndAsked(Exception):
    """The end was asked for before everything was there."""


@dataclass(frozen=True, slots=True)
class _Recovery:
    """What was broken is back; these events had been sent by then."""

    what: str
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
        self._controls: Controls | None = None
        self._recoveries: list[_Recovery] = []
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
        elif self._controls is not None:
            for action in _ACTIONS.get(key.lower(), ()):
                if self._controls.can(action):
                    self._controls.ask(action)

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
                # That Redis is away the bridge tells, too.
                stack.enter_context(log_into(servers.directory / "demo.log", self._note, logging.ERROR))
                settings = demo_settings(servers.kafka, servers.redis_url, _page_port(self._options.port))
                streams = RedisSSEService(redis_settings(settings), settings.source)
                stack.push_async_callback(streams.close)
                await self._carry(settings, servers, streams, stack)

    async def _carry(
        self,
        settings: Settings,
        servers: EmbeddedServers,
        streams: RedisSSEService,
        stack: contextlib.AsyncExitStack,
    ) -> None:
        board, options = self._board, self._options
        bridge = KillableBridge(servers, board, self._note, lambda away: self._back("the bridge", away))
        controls = Controls(servers, bridge, board, self._note, lambda away: self._back("Redis", away))
        gateway = await self._served(settings, Stage(board, controls), stack)
        self._controls = controls
        self._starting("joining the consumer group (the embedded broker takes 3 s)")
        clients = KafkaClientManager(kafka_settings(settings))
        player = Player(clients, TOPIC, board, users=options.users, seed=options.seed)
        carrying = asyncio.create_task(bridge.run())
        around = {
            asyncio.create_task(follow_page(streams, page, board.check, self._arrived))
            for page in board.pages
        }
        around |= {
            asyncio.create_task(_never_ended(servers)),
            asyncio.create_task(controls.obey_forever()),
            asyncio.create_task(gateway.failure()),
        }
        playing = asyncio.create_task(self._play_once_joined(player, bridge))
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

    async def _served(self, settings: Settings, stage: Stage, stack: contextlib.AsyncExitStack) -> Gateway:
        """The gateway, as `eventbridge serve --demo` runs it, with a stage. Raises `AddressUnavailable`."""
        parts = GatewayContainer(settings=settings)
        parts.traces.override(providers.Object(await stack.enter_async_context(traced(os.environ))))
        show_demo_page(parts, stage)
        gateway = Gateway(parts)
        stack.push_async_callback(gateway.stop)
        await gateway.start()
        stack.push_async_callback(gateway.drain)
        self._board.address = f"http://127.0.0.1:{gateway.port}/"
        self._screen.opened(self._board.address)
        return gateway

    async def _play_once_joined(self, player: Player, bridge: KillableBridge) -> None:
        await bridge.joined.wait()
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
        return check.missing + (0 if self._board.broken else check.on_the_way)

    def verdict(self) -> tuple[str, bool]:
        """What the pages saw, in a sentence, and whether that is as promised."""
        check, broken, missing = self._board.check, self._board.broken, self._missed
        text = f"{check.sent} events sent, {check.arrived} arrived: {missing} missing, {check.twice} twice"
        if check.late:
            text += f", {check.late} out of order"
        if broken and check.on_the_way:
            text += f"; {check.on_the_way} more were waiting for {broken}"
        return text, not (missing or check.twice or check.late)

    def _starting(self, what: str) -> None:
        self._board.starting = what
        self._draw_at_once.set()

    def _arrived(self, page: UserPage) -> None:
        self._board.starting = ""
        self._arrival.set()
        self._news.set()
        self._screen.arrived(page)

    def _back(self, what: str, away_seconds: float) -> None:
        check = self._board.check
        self._recoveries.append(_Recovery(what, check.sent, check.on_the_way))
        self._note(f"{what} is back after {away_seconds:.1f} s; events waiting for it: {check.on_the_way}")

    def _see_recovery(self) -> None:
        """Say it once when everything that had waited has arrived."""
        check = self._board.check
        for recovery in [recovery for recovery in self._recoveries if check.settled(recovery.sent)]:
            self._recoveries.remove(recovery)
            self._note(f"caught up: {recovery.waited} events had waited for {recovery.what}; {check}")

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


def _page_port(asked: int | None) -> int:
    if asked is not None:
        return asked
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PAGE_PORT))
        except OSError:
            return 0
    return PAGE_PORT
