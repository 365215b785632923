"""A gateway in the test's own event loop, and a sink that writes what its pages read."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import jwt as pyjwt

from eventbridge.adapters.redis.settings import RedisSettings
from eventbridge.adapters.redis.sse_service import RedisSSEService
from eventbridge.adapters.telemetry.gateway_metrics import GatewayMetrics
from eventbridge.application.health import Check
from eventbridge.domain.message import SSEMessage
from eventbridge.domain.routing import shard_of
from eventbridge.entrypoints.gateway import Gateway
from eventbridge.entrypoints.gateway_container import GatewayContainer
from eventbridge.entrypoints.settings import Settings

KEY = "a shared secret of more than thirty-two bytes"
AUDIENCE = "pages"
LIMIT_SECONDS = 20.0


def token(user_id: str, *, seconds: float = 300, key: str = KEY, **claims: Any) -> str:
    """A good token of a user, unless the claims say otherwise."""
    body = {"sub": user_id, "aud": AUDIENCE, "exp": time.time() + seconds, "jti": uuid4().hex, **claims}
    return pyjwt.encode(body, key, algorithm="HS256")


def bearer(user_id: str, **options: Any) -> dict[str, str]:
    """The header that proves to be this user."""
    return {"Authorization": f"Bearer {token(user_id, **options)}"}


class RunningGateway:
    """The gateway under test, what it counts, and who writes to its users' streams."""

    def __init__(self, container: GatewayContainer, gateway: Gateway, sink: RedisSSEService) -> None:
        self.container = container
        self.gateway = gateway
        self.sink = sink

    @property
    def port(self) -> int:
        return self.gateway.port

    @property
    def slots(self) -> int:
        """Slots that are taken now."""
        return self.container.admission().open

    @property
    def streams(self) -> int:
        return len(self.container.open_streams())

    @property
    def stuck(self) -> int:
        """Streams whose connection takes nothing now."""
        streams = self.container.open_streams()._streams
        return sum(stream.sending_since is not None for stream in streams)

    def counted(self, name: str, **labels: str) -> float:
        """What a scrape shows of one of the gateway's series; 0 where it is not there yet."""
        metrics: GatewayMetrics = self.container.telemetry()
        return metrics.registry.get_sample_value(f"eventbridge_{name}", labels) or 0.0

    def check(self, name: str) -> Check:
        """What an operator is told of one thing."""
        (found,) = (one for one in self.container.lifecycle().health().checks if one.name == name)
        return found

    async def publish(self, user_id: str, *numbers: int, size: int = 0, note: str = "") -> str:
        """Append events whose data are these numbers; answers the position of the last."""
        position = ""
        for number in numbers:
            data = json.dumps({"n": number, "filling": "x" * size + note}).encode()
            position = await self.sink.publish_event(user_id, SSEMessage(event="Test.Numbered", data=data))
        return position

    async def touch_every_shard(self) -> None:
        """Leave Redis as a bridge does that has run: an empty shard has no epoch to prove a cursor by."""
        untouched = set(range(self.sink.shards))
        while untouched:
            user_id = new_user()
            shard = shard_of(user_id, self.sink.shards)
            if shard in untouched:
                untouched.discard(shard)
                await self.publish(user_id, 0)

    async def until(self, there: Callable[[], bool], seconds: float = LIMIT_SECONDS) -> None:
        """Let the gateway turn until something holds."""
        pause = asyncio.Event()
        async with asyncio.timeout(seconds):
            while not there():
                try:
                    async with asyncio.timeout(0.02):
                        await pause.wait()
                except TimeoutError:
                    continue


@asynccontextmanager
async def running_gateway(
    redis_url: str, redis: dict[str, object] | None = None, **gateway: object
) -> AsyncIterator[RunningGateway]:
    """A gateway on a free port, with tokens; settings of the groups `redis` and `gateway` as given."""
    settings = Settings.model_validate(
        {
            "redis": {"url": redis_url, "timeout_seconds": 1, **(redis or {})},
            "gateway": {
                "port": 0,
                "jwt_key": KEY,
                "jwt_algorithms": ("HS256",),
                "jwt_audience": AUDIENCE,
                "drain_seconds": 1,
                **gateway,
            },
        }
    )
    container = GatewayContainer(settings=settings)
    running = Gateway(container)
    sink = RedisSSEService(RedisSettings(url=redis_url), "main")
    try:
        await running.start()
        gateway_under_test = RunningGateway(container, running, sink)
        await gateway_under_test.touch_every_shard()
        yield gateway_under_test
    finally:
        await running.stop()
        await sink.close()


def new_user() -> str:
    """A user whom no other test knows."""
    return str(uuid4())
