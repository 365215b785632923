"""Holds the demo's servers: a mock Kafka cluster inside, a Redis as its child. Run as a program.

Told `stop-redis` and `start-redis` on standard input, one a line; answers each, and first of all that both
servers are there, with a JSON object a line. The end of standard input is the end of everything: Redis is
stopped and the directory removed, also when the demo itself was killed.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from confluent_kafka import Producer

START_SECONDS = 10.0
STOP_SECONDS = 5.0

_TIED = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Becomes the program it is given; on Linux it is killed when its parent dies (PR_SET_PDEATHSIG)."""


class Redis:
    """A Redis server whose data outlives a stop: a write is in the append-only file when it is answered."""

    def __init__(self, program: str, directory: Path) -> None:
        self.port = free_port()
        self._program = program
        self._directory = directory / "redis"
        self._directory.mkdir()
        self._log = directory / "redis.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it answers. Raises `RuntimeError` if it does not."""
        options = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self._directory,
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                [sys.executable, "-I", "-S", "-c", _TIED, self._program, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        limit = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None:
                said = self._log.read_text(errors="replace")[-500:]
                raise RuntimeError(f"redis-server ended with code {self._process.returncode}: {said}")
            if time.monotonic() > limit:
                raise RuntimeError(f"redis-server does not answer after {START_SECONDS:g} s")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it, and return when it has ended."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as link:
            link.sendall(b"PING\r\n")
            return link.recv(64).startswith(b"+PONG")
        return False


def free_port() -> int:
    """A loopback port that nobody listens on, below those that the kernel gives to outgoing connections.

    So a server that was stopped finds its port free when it is started again.
    """
    while True:
        port = random.randint(20_000, 32_000)  # noqa: S311 - no secret
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def main(directory: Path, redis_program: str, topic: str) -> None:
    """Start both servers, say where they are, and obey until standard input ends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    redis = Redis(redis_program, directory)
    try:
        redis.start()
        cluster = Producer({"test.mock.num.brokers": 1})
        (broker,) = cluster.list_topics(timeout=START_SECONDS).brokers.values()
        cluster.list_topics(topic, timeout=START_SECONDS)
        _say({"kafka": f"{broker.host}:{broker.port}", "redis_port": redis.port})
        for line in sys.stdin:
            _say(_obey(redis, line.strip()))
    finally:
        redis.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _obey(redis: Redis, command: str) -> dict[str, object]:
    try:
        {"stop-redis": redis.stop, "start-redis": redis.start}[command]()
    except (KeyError, OSError, RuntimeError) as error:
        return {"failed": f"{command}: {error}"}
    return {"done": command}


def _say(message: dict[str, object]) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
