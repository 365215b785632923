"""A server of streams, a Redis of its own, who publishes and who listens: each a process."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import msgspec

from benchmarks.measuring import RunFailed
from benchmarks.procfs import cpu_seconds, machine_seconds
from tests.servers import LocalServer, RedisServer, free_port

_REPOSITORY = Path(__file__).parents[2]
_ANSWER_SECONDS = 90.0

_LIMITS = (
    "max_connections",
    "max_connections_per_address",
    "max_connections_per_user",
    "connects_per_second",
)


class Gateway(LocalServer):
    """`eventbridge serve` with its defaults, but without tokens and without limits."""

    def __init__(self, redis: RedisServer) -> None:
        super().__init__()
        self.port, self._probes = free_port(), free_port()
        self._redis = redis

    def command_line(self) -> list[str]:
        """Start it as a user does, whatever this process was told in its environment."""
        settings = {"auth": "none", "port": self.port, **dict.fromkeys(_LIMITS, 0)}
        return [
            *("env", *(f"--unset={name}" for name in os.environ if name.startswith("EVENTBRIDGE_"))),
            *(str(Path(sys.executable).with_name("eventbridge")), "serve", "--redis-url", self._redis.url),
            *(word for name, value in settings.items() for word in ("--set", f"gateway.{name}={value}")),
            *("--set", f"telemetry.metrics_port={self._probes}"),
        ]

    def ready(self) -> bool:
        """Ask it."""
        with contextlib.suppress(OSError):
            address = f"http://127.0.0.1:{self.port}/health/ready"
            with urllib.request.urlopen(address, timeout=5) as answer:
                return bool(answer.status == 200)
        return False


class BareServer(LocalServer):
    """The server that does nothing but write."""

    options: Sequence[str] = ()

    def __init__(self, redis: RedisServer) -> None:
        super().__init__()
        self.port = free_port()
        self._redis = redis

    def command_line(self) -> list[str]:
        """Start it where its module is found."""
        program = [sys.executable, "-m", "benchmarks.gateway.bare_server"]
        ports = str(self.port), str(self._redis.port)
        return ["env", "--chdir", str(_REPOSITORY), *program, *ports, *self.options]

    def ready(self) -> bool:
        """Ask for any stream."""
        address = f"http://127.0.0.1:{self.port}/?user=nobody"
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return True
        return False


class BarestServer(BareServer):
    """It without the client library."""

    options = ("--own-subscription",)


class Program:
    """A process that takes commands as lines of JSON, and answers each with one."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.gateway.{module}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_REPOSITORY,
        )
        self._commands = cast("IO[bytes]", self._process.stdin)
        self._answers = cast("IO[bytes]", self._process.stdout)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def ask(self, **command: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever JSON takes
        """Send a command and wait for what it found. Raises `RunFailed`."""
        self.send(**command)
        return self.answer()

    def send(self, **command: Any) -> None:  # noqa: ANN401 - as above
        """Send a command."""
        self._commands.write(json.dumps(command).encode() + b"\n")
        self._commands.flush()

    def has_answered(self) -> bool:
        """Whether `answer` would not wait."""
        return bool(select.select([self._answers], [], [], 0)[0])

    def answer(self) -> dict[str, Any]:
        """Wait for the answer to the oldest command that has none. Raises `RunFailed`."""
        if not select.select([self._answers], [], [], _ANSWER_SECONDS)[0]:
            raise RunFailed(f"the {self._module} does not answer")
        line = self._answers.readline()
        found: dict[str, Any] = json.loads(line) if line else {"error": "it ended"}
        if "error" in found:
            raise RunFailed(f"the {self._module}: {found['error']}")
        return found

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


class Moment(NamedTuple):
    """What Linux had counted."""

    at: float
    server: float
    redis: float
    publisher: float
    audience: float
    own: float
    machine: float
    stolen: float


class Used(msgspec.Struct, frozen=True):
    """CPU seconds between two moments, and the noise."""

    seconds: float
    server: float
    redis: float
    publisher: float
    audience: float
    others_share: float
    """Of the machine's CPU time, what processes used that have no part in this."""
    stolen_share: float
    """Of it, what the host gave to other machines."""


class Stage(NamedTuple):
    """What takes part."""

    name: str
    server: LocalServer
    port: int
    redis: RedisServer
    publisher: Program
    audience: Program

    def moment(self) -> Moment:
        """Read all counters as of now."""
        machine, stolen = machine_seconds()
        own = os.times()
        return Moment(
            at=time.monotonic(),
            server=cpu_seconds(self.server.pid),
            redis=cpu_seconds(self.redis.pid),
            publisher=cpu_seconds(self.publisher.pid),
            audience=cpu_seconds(self.audience.pid),
            own=own.user + own.system,
            machine=machine,
            stolen=stolen,
        )

    def used(self, since: Moment) -> Used:
        """What was used from a moment to now."""
        spent = Moment(*(now - then for now, then in zip(self.moment(), since, strict=True)))
        capacity = spent.at * (os.cpu_count() or 1)
        ours = spent.server + spent.redis + spent.publisher + spent.audience + spent.own
        return Used(
            seconds=spent.at,
            server=spent.server,
            redis=spent.redis,
            publisher=spent.publisher,
            audience=spent.audience,
            others_share=max(0.0, (spent.machine - ours) / capacity),
            stolen_share=spent.stolen / capacity,
        )

    def open(self, group: str, users: tuple[int, int], count: int, *, rate: float = 0) -> Mapping[str, float]:
        """Open streams of these users in turn; answers when all have begun."""
        return self.audience.ask(do="open", group=group, port=self.port, users=users, count=count, rate=rate)

    def publish(
        self, users: tuple[int, int], each: int, *, rate: float, per_call: int
    ) -> Mapping[str, float]:
        """Publish so many events to each of these users; answers when all were appended."""
        return self.publisher.ask(users=users, each=each, rate=rate, per_call=per_call)

    def received(self, group: str, upto: int) -> Ages:
        """Wait until everybody in the group has got its event of this number."""
        found = self.audience.ask(do="await", group=group, upto=upto)
        return Ages(found["at"], found["times"])


class Ages:
    """How old events were when clients read them."""

    def __init__(self, at_ns: int, times: list[int]) -> None:
        self.at_ns = at_ns
        """When the last one was read."""
        self._published, self._ages = times[::2], times[1::2]

    def __len__(self) -> int:
        return len(self._ages)

    def milliseconds(self, until_ns: int | None = None) -> list[float]:
        """Of those that were published by then."""
        return [
            age / 1e6
            for at, age in zip(self._published, self._ages, strict=True)
            if until_ns is None or at <= until_ns
        ]


@contextmanager
def stage(name: str, server: Callable[[RedisServer], Gateway | BareServer]) -> Iterator[Stage]:
    """Everything running, nobody connected."""
    with (
        RedisServer() as redis,
        server(redis) as serving,
        Program("publisher", redis.url) as publisher,
        Program("audience") as audience,
    ):
        found = Stage(name, serving, serving.port, redis, publisher, audience)
        # Answered once the shards have their epochs; positions from before would be reset.
        found.publish((0, 0), 0, rate=0, per_call=1)
        yield found
