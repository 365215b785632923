"""A collector of traces: OTLP over HTTP, as far as it takes to see what was sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer


class Collector(HTTPServer):
    """Takes OTLP requests, and answers them when `release` is set; with a refusal that repeats the request's
    headers where `refuses` is."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), CollectorRequest)
        self.requests: list[tuple[str, bytes]] = []
        self.refuses = False
        self.release = threading.Event()
        self.release.set()

    @property
    def url(self) -> str:
        """What `OTEL_EXPORTER_OTLP_ENDPOINT` says."""
        return f"http://127.0.0.1:{self.server_port}"


class CollectorRequest(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Collector)
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append((self.path, body))
        self.server.release.wait(30)
        if self.server.refuses:
            self.send_response(403, " ".join(str(self.headers).split()))
        else:
            self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


@contextmanager
def running_collector() -> Iterator[Collector]:
    """A collector that takes requests within the block."""
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.release.set()
        server.shutdown()
        thread.join()
