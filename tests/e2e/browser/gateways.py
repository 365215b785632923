"""`eventbridge serve` as a process, before a Redis of its own, for pages of another origin."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import jwt

from eventbridge.adapters.redis.settings import RedisSettings
from eventbridge.adapters.redis.sse_service import RedisSSEService
from eventbridge.domain.message import SSEMessage
from tests.servers import RedisServer
from tests.servers.process import free_port

PROGRAM = str(Path(sys.executable).with_name("eventbridge"))
LIMIT_SECONDS = 30
KEY = "a key of the tests alone, long enough for HS256"


class Gateway:
    """A gateway that can be killed, stopped and started again on its port."""

    def __init__(self, redis: RedisServer, origin: str, settings: Mapping[str, str]) -> None:
        self.port = free_port()
        self.redis = redis
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("EVENTBRIDGE_")}
        own = {
            "REDIS__URL": redis.url,
            "GATEWAY__PORT": str(self.port),
            "GATEWAY__AUTH": "none",
            "GATEWAY__CORS_ORIGINS": origin,
            "GATEWAY__DRAIN_SECONDS": "1",
            "TELEMETRY__METRICS_PORT": "0",
            "TELEMETRY__LOG_FORMAT": "json",
            **settings,
        }
        self._environment = inherited | {f"EVENTBRIDGE__{name}": value for name, value in own.items()}
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Return when it listens."""
        self.process = subprocess.Popen(
            [PROGRAM, "serve"], env=self._environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=_read, args=(self.process, lines), daemon=True).start()
        said = []
        while "streams are served" not in (line := lines.get(timeout=LIMIT_SECONDS)):
            said.append(line)
            if "health and metrics are served" in line:
                self._probes = int(json.loads(line)["port"])
            if not line:
                raise AssertionError("the gateway ended:\n" + "\n".join(said))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(LIMIT_SECONDS)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LIMIT_SECONDS)

    def connections(self) -> int:
        """Open streams, by its own metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._probes}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        (value,) = [line.split()[-1] for line in lines if line.startswith("eventbridge_gateway_connections ")]
        return int(float(value))

    def command(self, *arguments: str) -> None:
        """Run another command of the program with the gateway's settings."""
        subprocess.run(
            [PROGRAM, *arguments],
            env=self._environment,
            check=True,
            capture_output=True,
            timeout=LIMIT_SECONDS,
        )


@contextmanager
def running_gateway(origin: str, **settings: str) -> Iterator[Gateway]:
    with RedisServer(appendonly=True, appendfsync="always") as redis:
        gateway = Gateway(redis, origin, settings)
        try:
            yield gateway
        finally:
            gateway.kill()


async def known_user(redis: RedisServer) -> str:
    """A user with a stream: where nothing was ever written, a shard's first epoch is a reset to its pages."""
    user = str(uuid4())
    await publish(redis, user, 0)
    return user


async def publish(redis: RedisServer, user: str, *numbers: int) -> None:
    """Append the events of these numbers to the user's stream."""
    async with RedisSSEService(RedisSettings(redis.url), "main") as sink:
        for number in numbers:
            data = {"event_id": f"event-{number}", "number": number, "_scope": "user", "_version": "1.0"}
            message = SSEMessage(event="Genesis.Session.Started", data=json.dumps(data).encode())
            await sink.publish_event(user, message)


def token(user: str, *, seconds: float = 600) -> str:
    """A token that the gateway's settings `with_tokens` accept."""
    claims = {"sub": user, "aud": "pages", "exp": int(time.time() + seconds), "jti": uuid4().hex}
    return jwt.encode(claims, KEY, "HS256")


WITH_TOKENS = {
    "GATEWAY__AUTH": "jwt",
    "GATEWAY__JWT_KEY": KEY,
    "GATEWAY__JWT_ALGORITHMS": "HS256",
    "GATEWAY__JWT_AUDIENCE": "pages",
}


def _read(process: subprocess.Popen[bytes], lines: queue.Queue[str]) -> None:
    assert process.stderr is not None
    with process.stderr as stream:
        for line in stream:
            lines.put(line.decode().rstrip("\n"))
    lines.put("")
