"""An ASGI application on one of several servers, as its users start it."""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .process import LocalServer, free_port

ROOT = Path(__file__).parents[2]

COMMANDS: Mapping[str, Sequence[str]] = {
    "uvicorn on h11": ("uvicorn", "--http", "h11"),
    "uvicorn on httptools": ("uvicorn", "--http", "httptools"),
    "granian": ("granian", "--interface", "asgi"),
}
"""The program and its options, by a name for people."""


class AsgiServer(LocalServer):
    """`application` is `module:name`, in `directory` or below the repository's root."""

    def __init__(
        self,
        server: str,
        application: str,
        *,
        app_dir: Path = ROOT,
        environment: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.port = free_port()
        self._server = server
        program, *fixed = COMMANDS[server]
        where = "--working-dir" if program == "granian" else "--app-dir"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("EVENTBRIDGE_")}
        # What the server is not told on its command line.
        self.environment = {**inherited, **(environment or {}), "PYTHONPATH": str(app_dir)}
        self._command = [
            str(Path(sys.executable).with_name(program)),
            *fixed,
            *("--host", "127.0.0.1", "--port", str(self.port), where, str(app_dir)),
            *options,
            application,
        ]

    def command_line(self) -> list[str]:
        """The server's own program, under an environment of the test's own."""
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        return ["/usr/bin/env", "-i", *variables, *self._command]

    def ready(self) -> bool:
        """Whether it answers anything at all."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status > 0
        except OSError:
            return False
        finally:
            connection.close()

    def __str__(self) -> str:
        return self._server
