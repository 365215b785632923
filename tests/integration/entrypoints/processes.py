"""EventBridge's programs as child processes, as an operator starts them."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PROGRAM = str(Path(sys.executable).with_name("eventbridge"))

LIMIT_SECONDS = 40.0
"""For whatever a test waits for; only a failing test takes so long."""


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with no settings but these, by their names without the prefix."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("EVENTBRIDGE_")}
    return inherited | {f"EVENTBRIDGE__{name}": value for name, value in settings.items()}


def eventbridge(
    *arguments: str, settings: Mapping[str, str], stdin: bytes = b""
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    done = subprocess.run(
        [PROGRAM, *arguments],
        env=environment(settings),
        input=stdin,
        capture_output=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


class Bridge:
    """`eventbridge run`, or another program that runs until it is stopped, as a process; its log lines are
    kept as they come."""

    def __init__(self, settings: Mapping[str, str], *arguments: str, command: str = "run") -> None:
        self.lines: list[str] = []
        self._coming: queue.Queue[str | None] = queue.Queue()
        self.process = subprocess.Popen(
            [PROGRAM, command, *arguments],
            env=environment({"TELEMETRY__METRICS_PORT": "0", "TELEMETRY__LOG_FORMAT": "json", **settings}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for_line(self, part: str) -> str:
        """The next line that holds `part`; fails with all lines if the process ends or is silent."""
        while (line := self._coming.get(timeout=LIMIT_SECONDS)) is not None:
            if part in line:
                return line
        raise AssertionError(f"ended without saying {part!r}:\n" + "\n".join(self.lines))

    def wait_until_probed(self) -> None:
        """Return once probes are answered."""
        line = self.wait_for_line("health and metrics are served")
        self.port = int(json.loads(line)["port"])

    def wait_until_ready(self) -> None:
        """Return once probes are told that it is ready."""
        pause = threading.Event()
        for _ in range(int(LIMIT_SECONDS * 10)):
            if self.health("/health/ready")[0] == 200:
                return
            pause.wait(0.1)
        raise AssertionError(f"never ready: {self.health('/health')}\n" + "\n".join(self.lines))

    def health(self, path: str) -> tuple[int, dict[str, object]]:
        """What a probe is told: status and body."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, json.load(refusal)

    def scrape(self) -> str:
        """What Prometheus reads."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            text: str = answer.read().decode()
        return text

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def exit_code(self) -> int:
        """Wait for the end."""
        code = self.process.wait(LIMIT_SECONDS)
        self._reader.join(LIMIT_SECONDS)
        return code

    def output(self) -> str:
        return "\n".join(self.lines)

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            for line in stream:
                text = line.decode().rstrip("\n")
                self.lines.append(text)
                self._coming.put(text)
        self._coming.put(None)


@contextmanager
def running_bridge(settings: Mapping[str, str], *arguments: str, command: str = "run") -> Iterator[Bridge]:
    """A bridge that is gone when the test ends, whatever the test did."""
    bridge = Bridge(settings, *arguments, command=command)
    try:
        yield bridge
    finally:
        bridge.process.kill()
        bridge.exit_code()
