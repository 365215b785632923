"""What a person can break and mend, by key or by the page's buttons, one after the other."""

import asyncio
import time
from collections.abc import Callable, Sequence

from ...adapters.http.demo_page import StageAction
from .board import Board, BridgeState, RedisState
from .killable_bridge import KillableBridge
from .servers import EmbeddedServers

STOP_REDIS, START_REDIS = "stop-redis", "start-redis"
KILL_BRIDGE, START_BRIDGE = "kill-bridge", "start-bridge"

_REDIS = {
    RedisState.RUNS: StageAction(STOP_REDIS, "Stop Redis"),
    RedisState.STOPPING: StageAction(STOP_REDIS, "Redis is stopping", possible=False),
    RedisState.STOPPED: StageAction(START_REDIS, "Start Redis"),
    RedisState.STARTING: StageAction(START_REDIS, "Redis is starting", possible=False),
}
_BRIDGE = {
    BridgeState.RUNS: StageAction(KILL_BRIDGE, "Kill the bridge"),
    BridgeState.KILLED: StageAction(START_BRIDGE, "Start the bridge"),
    BridgeState.STARTING: StageAction(START_BRIDGE, "The bridge is starting", possible=False),
}


class Controls:
    """Does what is asked for, if it can be done now; `back` hears how long Redis was away."""

    def __init__(
        self,
        servers: EmbeddedServers,
        bridge: KillableBridge,
        board: Board,
        note: Callable[[str], None],
        back: Callable[[float], None],
    ) -> None:
        self._servers = servers
        self._bridge = bridge
        self._board = board
        self._note = note
        self._back = back
        self._asked: asyncio.Queue[tuple[str, asyncio.Future[bool]]] = asyncio.Queue()
        self._stopped_at = 0.0

    def buttons(self) -> Sequence[StageAction]:
        """One for Redis, one for the bridge; none before the first event and once the end was asked for."""
        if self._board.starting or self._board.ending:
            return ()
        return (_REDIS[self._board.redis], _BRIDGE[self._board.bridge])

    def can(self, name: str) -> bool:
        """Whether it can be asked for now."""
        return any(button.name == name and button.possible for button in self.buttons())

    def ask(self, name: str) -> asyncio.Future[bool]:
        """Have it done; answers, in the end, whether it could be."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked.put_nowait((name, done))
        return done

    async def obey_forever(self) -> None:
        """Do what is asked for. Raises `DemoFailed` where the servers do not obey."""
        acts = {
            STOP_REDIS: self._stop_redis,
            START_REDIS: self._start_redis,
            KILL_BRIDGE: self._kill_bridge,
            START_BRIDGE: self._start_bridge,
        }
        while True:
            name, done = await self._asked.get()
            possible = self.can(name)
            if possible:
                await acts[name]()
            if not done.done():
                done.set_result(possible)

    async def _stop_redis(self) -> None:
        self._board.redis = RedisState.STOPPING
        await self._servers.stop_redis()
        self._board.redis, self._stopped_at = RedisState.STOPPED, time.monotonic()
        self._note("Redis is stopped")

    async def _start_redis(self) -> None:
        self._board.redis = RedisState.STARTING
        await self._servers.start_redis()
        self._board.redis = RedisState.RUNS
        self._back(time.monotonic() - self._stopped_at)

    async def _kill_bridge(self) -> None:
        self._bridge.kill()
        await self._bridge.gone()

    async def _start_bridge(self) -> None:
        self._bridge.start()
