"""Another sink: HTTP POST to a webhook, at least once. `python examples/webhook_sink.py` plays it."""

# ruff: noqa: D102, D103, S101, T201 - the port describes the methods; an example prints

import asyncio
import itertools
import threading
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from dependency_injector import providers
from list_source import play, sample_list

from eventbridge.application.errors import SinkUnavailable
from eventbridge.domain.delivery import Answer, Applied, Batch, Partition, ShardPosition
from eventbridge.domain.message import SSEMessage
from eventbridge.entrypoints.container import Container
from eventbridge.entrypoints.settings import CommitGroup, Settings


class WebhookSink:
    """An `EventSink` without memory: after a failure the whole batch is sent again."""

    shards = 1

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._numbers = itertools.count(1)

    async def positions(
        self, partitions: Sequence[Partition]
    ) -> Mapping[Partition, Sequence[ShardPosition]] | None:
        return None  # no memory: EventBridge goes on from the source's commit

    async def apply(self, batch: Batch) -> Sequence[Answer]:
        for entry in batch.entries:  # one after the other, so that they arrive in order
            await asyncio.to_thread(self._post, entry.target.id, entry.event, entry.data)
        counts = [len(batch.entries), *[0] * len(batch.marks)]  # entries belong to the first mark
        return [Applied(count, mark.upto, "") for count, mark in zip(counts, batch.marks, strict=False)]

    async def publish_event(self, user_id: str, message: SSEMessage) -> str:
        await asyncio.to_thread(self._post, user_id, message.event, message.data)
        return str(next(self._numbers))

    def _post(self, user: str, event: str, data: bytes) -> None:
        connection = HTTPConnection(self._host, self._port, timeout=5)
        headers = {"Content-Type": "application/json", "X-User": user, "X-Event": event}
        try:
            connection.request("POST", "/events", data, headers)
            status = connection.getresponse().status
        except (OSError, HTTPException) as error:
            raise SinkUnavailable("connection", str(error)) from error
        finally:
            connection.close()
        if status >= 300:
            raise SinkUnavailable("status", str(status))


class Receiver(ThreadingHTTPServer):
    """The webhook's other end, on a free port of this machine."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receipt)
        self.received: list[tuple[str, str, bytes]] = []

    def __enter__(self) -> "Receiver":
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class Receipt(BaseHTTPRequestHandler):
    """One delivery."""

    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.headers["X-User"], self.headers["X-Event"], data))
        self.send_response(204)
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: `main` prints what arrived."""


async def main() -> None:
    with Receiver() as receiver:
        container = Container(settings=Settings(commit=CommitGroup(interval_seconds=0.1)))
        container.sink.override(providers.Object(WebhookSink("127.0.0.1", receiver.server_port)))
        await play(sample_list(20), container)
    for user, event, data in receiver.received:
        print(f"{user} {event} {len(data)} bytes")


if __name__ == "__main__":
    asyncio.run(main())
