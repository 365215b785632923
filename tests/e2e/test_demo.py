"""`eventbridge demo` as a program: its own servers, a pipe or a terminal, and nothing left behind."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

PROGRAM = str(Path(sys.executable).with_name("eventbridge"))
EVENT = re.compile(r"\d\d:\d\d:\d\d\.\d{3}  \w+ +Genesis\.Session\.\S+ +\d+ ms  \S")
PAGE = re.compile(r"Open http://127\.0\.0\.1:\d+/ in a browser, .*\n")
LIMIT_SECONDS = 40.0

TAKE_TERMINAL = """
import os, sys
os.open(os.ttyname(0), os.O_RDWR)
os.execv(sys.argv[1], sys.argv[1:])
"""
OWN_TERMINAL = [sys.executable, "-I", "-c", TAKE_TERMINAL]
"""Makes standard input the controlling terminal of a new session, so that the demo is in its foreground."""


@contextmanager
def demo(directory: Path, *arguments: str, terminal: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """The demo with all that it keeps in `directory`; killed in the end if it has not ended."""
    environment = {**os.environ, "TMPDIR": str(directory), "TERM": "xterm-256color"}
    with subprocess.Popen(
        [*([] if terminal is None else OWN_TERMINAL), PROGRAM, "demo", "--port", "0", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL if terminal is None else terminal,
        stdout=subprocess.PIPE if terminal is None else terminal,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def output(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout


def first_event(process: subprocess.Popen[str]) -> str:
    return next(line for line in output(process) if EVENT.match(line))


def processes_in(directory: Path) -> list[int]:
    """Processes that work in the directory, as the demo's servers and its bridge do."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            works_in = (entry / "cwd").readlink()
        except OSError:
            continue
        if directory in works_in.parents:
            found.append(int(entry.name))
    return found


class Terminal:
    """The other end of a pseudo-terminal: what a person sees and types."""

    def __init__(self, keyboard: int) -> None:
        self._keyboard = keyboard
        self.shown = ""

    def press(self, key: str) -> None:
        os.write(self._keyboard, key.encode())

    def wait_for(self, *texts: str) -> None:
        """Read until all of these have been shown since the last call."""
        seen = ""
        limit = time.monotonic() + LIMIT_SECONDS
        while not all(text in seen for text in texts):
            ready, _, _ = select.select([self._keyboard], [], [], max(0.0, limit - time.monotonic()))
            assert ready, f"{texts} did not appear; the end of what did: {seen[-3000:]}"
            raw = os.read(self._keyboard, 65_536).decode(errors="replace")
            self.shown += raw
            seen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", raw)


def test_in_a_pipe_each_event_is_a_line_and_it_ends_by_itself(tmp_path: Path) -> None:
    with demo(tmp_path, "--seconds", "2", "--users", "3", "--rate", "20") as process:
        lines = list(output(process))
        code = process.wait()

    assert PAGE.fullmatch(lines[0]), lines[0]
    events = [line for line in lines if EVENT.match(line)]
    arrived = re.fullmatch(r"(\d+) events sent, (\d+) arrived: 0 missing, 0 twice\n", lines[-1])
    assert code == 0, lines
    assert arrived is not None, lines[-1]
    assert int(arrived[1]) == int(arrived[2]) == len(events) > 10
    assert len({line.split()[1] for line in events}) == 3
    assert not any("\x1b" in line for line in lines)
    assert not processes_in(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with demo(tmp_path, "--port", port) as process:
            said = output(process).read()
            code = process.wait()

    assert code == 1
    assert said.startswith(f"eventbridge: cannot listen on 127.0.0.1:{port}: ")
    assert said.count("\n") == 1
    assert not processes_in(tmp_path)
    assert not list(tmp_path.iterdir())


def test_sigterm_ends_it_with_everything_that_it_started(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        first_event(process)
        servers = processes_in(tmp_path)

        process.send_signal(signal.SIGTERM)
        rest = output(process).read()
        code = process.wait()

    assert len(servers) == 3
    assert code == 0
    assert "0 missing, 0 twice" in rest
    assert not processes_in(tmp_path)
    assert not list(tmp_path.iterdir())


def test_when_it_is_killed_its_servers_go_too(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        first_event(process)
        servers = [os.pidfd_open(pid) for pid in processes_in(tmp_path)]

        process.kill()
        living = set(servers)
        while living:
            ended, _, _ = select.select(living, [], [], LIMIT_SECONDS)
            assert ended, "a server lives on"
            living -= set(ended)

    for server in servers:
        os.close(server)
    assert len(servers) == 3
    assert not list(tmp_path.iterdir())


@pytest.mark.timeout(120)
def test_at_a_terminal_keys_stop_redis_and_kill_the_bridge_and_all_that_waited_arrives_once(
    tmp_path: Path,
) -> None:
    keyboard, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    before = termios.tcgetattr(terminal)
    person = Terminal(keyboard)
    with demo(tmp_path, "--rate", "20", terminal=terminal) as process:
        person.wait_for("http://127.0.0.1:", "r stops Redis", "circuit closed", "Started")

        person.press("r")
        person.wait_for("Redis is stopped", "circuit open", "r starts Redis again")
        person.press("r")
        person.wait_for("Redis is back after", "circuit closed", "caught up", "0 missing, 0 twice")
        person.press("k")
        person.wait_for("the bridge was killed", "k starts the bridge again")
        person.press("k")
        person.wait_for("the bridge is back after", "had waited for the bridge", "0 missing, 0 twice")
        person.press("q")
        person.wait_for("arrived: 0 missing, 0 twice")
        code = process.wait()

    after = termios.tcgetattr(terminal)
    os.close(terminal)
    os.close(keyboard)
    assert code == 0
    assert after == before
    assert person.shown.count("\x1b[?1049h") == person.shown.count("\x1b[?1049l") == 1
    assert not processes_in(tmp_path)
    assert not list(tmp_path.iterdir())
