"""What a person can break and mend, by key or by the page's buttons, one after the other."""

import asyncio
import time
from collections.abc import Callable

from .board import Board, BridgeState, RedisState
from .killable_bridge import KillableBridge
from .servers import EmbeddedServers

STOP_REDIS, START_REDIS = "stop-redis", "start-redis"
KILL_BRIDGE, START_BRIDGE = "kill-bridge", "start-bridge"

_LABELS = {
    STOP_REDIS: "Stop Redis",
    START_REDIS: "Start Redis",
    KILL_BRIDGE: "Kill the bridge",
    START_BRIDGE: "Start the bridge",
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

    def offered(self) -> dict[str, str]:
        """What can be asked for now, by name, each with its label."""
        if self._board.starting or self._board.ending:
            return {}
        redis = {RedisState.RUNS: STOP_REDIS, RedisState.STOPPED: START_REDIS}
        bridge = {BridgeState.RUNS: KILL_BRIDGE, BridgeState.KILLED: START_BRIDGE}
        names = (redis.get(self._board.redis), bridge.get(self._board.bridge))
        return {name: _LABELS[name] for name in names if name is not None}

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
            possible = name in self.offered()
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
