"""FAULTS 54: connections to Redis that are lost again and again leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from redis import Redis

from eventbridge.adapters.redis.sse_service import RedisSSEService
from eventbridge.application.errors import SinkUnavailable
from eventbridge.domain.routing import Target, shard_of, user
from tests.integration.gateway.running import bearer, new_user, running_gateway
from tests.integration.gateway.sse_client import open_page
from tests.integration.redis.sink import apply, batch, entry
from tests.servers import RedisServer

RECONNECTS = 1000
FEW = 3
"""By how much what is held differs from one moment to another."""

GROWTH_BYTES = 2 * 2**20
"""Two KiB kept of each lost connection would be as much."""


class Held(NamedTuple):
    """What the process holds, and Redis for it."""

    tasks: int
    descriptors: int
    clients: int
    resident_bytes: int

    @classmethod
    def now(cls, redis: Any) -> Held:
        gc.collect()
        return cls(
            len(asyncio.all_tasks()),
            len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - only how many
            redis.info("clients")["connected_clients"],
            int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE"),
        )


class Writer:
    """Appends to one user's stream by the sink, whatever becomes of its connections."""

    def __init__(self, sink: RedisSSEService, target: Target) -> None:
        self._sink = sink
        self._target = target
        self._shard = shard_of(target.id, sink.shards)
        self._last = -1

    async def begin(self) -> None:
        await apply(self._sink, batch(None, -1, shard=self._shard))

    async def append(self) -> int:
        """Append the next one; answers its number."""
        offset = self._last + 1
        call = batch(self._last, offset, entry(offset, self._target), shard=self._shard)
        while True:
            try:
                await apply(self._sink, call)
            except SinkUnavailable:
                continue
            self._last = offset
            return offset


async def test_a_thousand_lost_connections_leave_nothing_behind(
    redis_server: Callable[..., RedisServer], caplog: pytest.LogCaptureFixture
) -> None:
    # What is captured of the log would keep each error, with all that its traceback leads to.
    caplog.set_level(logging.CRITICAL)
    server, reader = redis_server(), new_user()
    redis: Any = Redis.from_url(server.url)
    with redis:
        async with (
            running_gateway(server.url) as gateway,
            open_page(gateway.port, "/events", bearer(reader)) as page,
        ):
            writer = Writer(gateway.sink, user(reader))
            await writer.begin()
            await page.wait_for_bytes(b"id: ")

            async def lose(reconnects: int) -> None:
                """Kill all connections, and see that everything works, until there were so many new ones."""
                begun = redis.info("stats")["total_connections_received"]
                while redis.info("stats")["total_connections_received"] < begun + reconnects:
                    for kind in ("normal", "pubsub"):
                        redis.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
                    number = await writer.append()
                    assert (await page.next_data())["n"] == number
                    resuming = {**bearer(reader), "Last-Event-ID": page.last_event_id}
                    async with open_page(gateway.port, "/events", resuming) as other:
                        await other.wait_for_bytes(b": ok")

            await lose(RECONNECTS // 10)
            before = Held.now(redis)
            await lose(RECONNECTS)
            after = Held.now(redis)

    assert after.tasks <= before.tasks + FEW
    assert after.descriptors <= before.descriptors + FEW
    assert after.clients <= before.clients + FEW
    assert after.resident_bytes < before.resident_bytes + GROWTH_BYTES
