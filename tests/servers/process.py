"""A server program as a child process: started, stopped, killed, frozen and started again."""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import weakref
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

_handed_out: set[int] = set()
_living: weakref.WeakSet[LocalServer] = weakref.WeakSet()


def free_port() -> int:
    """Return a loopback port that nobody listens on, and never the same one twice.

    It lies below the range that the kernel gives to outgoing connections (32768 upwards on Linux), so
    that a server that was killed finds its port free when it is started again.
    """
    while True:
        port = random.randint(20_000, 32_000)
        if port in _handed_out:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            _handed_out.add(port)
            return port


class ServerFailed(Exception):
    """A server ended by itself or did not become ready; carries the end of what it printed."""

    def __init__(self, server: LocalServer, what: str) -> None:
        super().__init__(f"{server}: {what}; the end of {server.log}:\n{server.output()[-3000:]}")


class Guard:
    """Runs a shell command when this process dies without dismissing it, whatever killed it.

    A shell waits for the end of a pipe whose other end only this process has; `argument` is its `$1`.
    """

    def __init__(self, command: str, argument: str) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", f"read -r _; {command} >/dev/null 2>&1", "sh", argument],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """End the guard; its command is not run."""
        self._shell.kill()
        self._shell.communicate()


class LocalServer(ABC):
    """One server process on this machine, with a directory of its own that outlives a kill.

    All verbs block until they took effect; in a coroutine call them by `asyncio.to_thread` where the
    event loop must go on turning meanwhile. As a context manager: started, and in the end closed.
    """

    start_seconds = 30.0
    stop_seconds = 15.0

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="eventbridge-test-"))
        self.log = self.directory / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None
        self._log_start = 0

    @abstractmethod
    def command_line(self) -> list[str]:
        """Return the program and its arguments, after writing the files that it reads."""

    @abstractmethod
    def ready(self) -> bool:
        """Tell whether the server answers requests; False while it cannot be reached."""

    @property
    def pid(self) -> int:
        """The process id of the running server; an error where it does not run."""
        if self._process is None:
            raise RuntimeError(f"{self} does not run")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives (also while it is paused)."""
        return self._process is not None and self._process.poll() is None

    def output(self, *, since_start: bool = False) -> str:
        """Return what the server has printed so far: over all its starts, or since the last one."""
        if not self.log.exists():
            return ""
        return self.log.read_bytes()[self._log_start if since_start else 0 :].decode(errors="replace")

    def start(self) -> Self:
        """Start the server and wait until it answers; raises `ServerFailed`."""
        self.launch()
        return self.wait_until_ready()

    def launch(self) -> None:
        """Start the server without waiting for it."""
        if self.running:
            raise RuntimeError(f"{self} runs already")
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                self.command_line(),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guard = Guard('kill -KILL -- "-$1"', str(self._process.pid))
        _living.add(self)

    def wait_until_ready(self) -> Self:
        """Wait until the launched server answers; raises `ServerFailed`."""
        limit = time.monotonic() + self.start_seconds
        while not self.ready():
            if self._process is None or self._process.poll() is not None:
                code = self._process.returncode if self._process else None
                self._reap()
                raise ServerFailed(self, f"ended with code {code} before it was ready")
            if time.monotonic() > limit:
                self.kill()
                raise ServerFailed(self, f"was not ready after {self.start_seconds:.0f} s")
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        """Ask the server to end (SIGTERM) and wait for it; nothing where it does not run."""
        if self._process is None:
            return
        self.resume()
        self._process.terminate()
        try:
            self._process.wait(self.stop_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._reap()

    def kill(self) -> None:
        """End the server and its workers at once (SIGKILL): what they had not written is lost."""
        if self._process is not None:
            # It leads a group of its own, and keeps its number until it is reaped.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._reap()

    def pause(self) -> None:
        """Freeze the server (SIGSTOP): connections stay open, nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen server go on (SIGCONT)."""
        if self.running:
            os.kill(self.pid, signal.SIGCONT)

    def restart(self) -> Self:
        """Stop the server where it runs, and start it on the same port and directory."""
        self.stop()
        return self.start()

    def close(self) -> None:
        """End the server and remove its directory."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _reap(self) -> None:
        if self._guard is not None:
            self._guard.dismiss()
            self._guard = None
        if self._process is not None:
            self._process.wait()
            self._process = None
        _living.discard(self)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def __str__(self) -> str:
        return type(self).__name__


@atexit.register
def _close_all() -> None:
    for server in list(_living):
        server.close()
