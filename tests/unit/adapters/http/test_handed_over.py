"""A connection that its request handed over, over real sockets: nothing lost, kept or without bound."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from starlette.types import Receive, Scope, Send

from eventbridge.adapters.http.embedded_server import EmbeddedServer
from eventbridge.adapters.http.gateway_tuning import gateway_tuning
from eventbridge.adapters.http.handed_over import HANDOVER, HandedOver
from eventbridge.adapters.http.request_limits import MAX_HEAD_BYTES
from eventbridge.adapters.memory.clock import ManualClock
from eventbridge.application.mailbox import MAX_BYTES, MAX_EVENTS
from tests.unit.application.hub_under_test import CountingGatewayTelemetry, eventually

REQUEST = b"GET / HTTP/1.1\r\nHost: g\r\n\r\n"
BIG = b"x" * 300_000


class Hub:
    """Takes every connection over, where it is let."""

    def __init__(self) -> None:
        self.telemetry = CountingGatewayTelemetry()
        self.clock = ManualClock()
        self.taken: list[HandedOver] = []
        self.refused = 0
        self.left = 0
        self.told_sending = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/big":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": BIG})
            return
        connection = HandedOver(self.telemetry, self.clock)
        if scope["extensions"][HANDOVER]["take"]([(b"x-kind", b"stream")], connection):
            connection.page = self
            self.taken.append(connection)
            return
        self.refused += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def sending(self) -> None:
        self.told_sending += 1

    def gone(self) -> None:
        self.left += 1


class Client:
    def __init__(self, plain: socket.socket) -> None:
        self.socket = plain

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def read(self, size: int) -> bytes:
        found = b""
        async with asyncio.timeout(10):
            while len(found) < size:
                chunk = await asyncio.get_running_loop().sock_recv(self.socket, size - len(found))
                if not chunk:
                    break
                found += chunk
        return found

    async def read_to_end(self) -> bytes:
        try:
            return await self.read(1 << 30)
        except ConnectionResetError:
            return b""


Open = Callable[[], Awaitable[tuple[Client, HandedOver]]]


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
async def server(hub: Hub) -> AsyncIterator[EmbeddedServer]:
    server = EmbeddedServer(hub, "127.0.0.1", 0, tuning=gateway_tuning(20))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def open_stream(hub: Hub, server: EmbeddedServer) -> AsyncIterator[Open]:
    clients: list[Client] = []

    async def make() -> tuple[Client, HandedOver]:
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", server.port))
        clients.append(Client(plain))
        await clients[-1].send(REQUEST)
        count = len(hub.taken)
        await eventually(lambda: len(hub.taken) > count)
        return clients[-1], hub.taken[-1]

    yield make
    for client in clients:
        client.socket.close()


async def test_the_answer_lasts_as_long_as_the_connection(open_stream: Open, hub: Hub) -> None:
    client, connection = await open_stream()

    connection.write(b"id: 1\n\n", [1, None])
    connection.close(flush=True)
    head, _, body = (await client.read_to_end()).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 200 OK\r\ndate: ")
    assert head.endswith(b"\r\nx-kind: stream\r\nconnection: close")
    assert body == b"id: 1\n\n"
    assert len(hub.telemetry.ages) == 2
    await eventually(lambda: hub.left == 1)


async def test_a_connection_on_which_an_answer_still_waits_is_not_handed_over(
    hub: Hub, server: EmbeddedServer
) -> None:
    """Its transport has told its former protocol to pause, and would not tell the next one."""
    with socket.create_connection(("127.0.0.1", server.port)) as plain:
        plain.setblocking(False)
        client = Client(plain)

        await client.send(REQUEST.replace(b"/", b"/big", 1) + REQUEST)
        await eventually(lambda: hub.refused + len(hub.taken) == 1)
        handed = list(hub.taken)
        answer = await client.read(len(BIG) + 300)

    assert handed == []
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2


async def test_what_the_kernel_does_not_take_waits_and_counts_once_it_is_sent(
    open_stream: Open, hub: Hub
) -> None:
    client, connection = await open_stream()

    assert connection.write(BIG, [1])
    assert connection.write(b"last", [2])
    waiting = asyncio.create_task(connection.drained())
    stuck, told = connection.sending_since, len(hub.telemetry.ages)
    hub.clock.advance(1)
    whole = await _body(client, len(BIG) + 4)
    async with asyncio.timeout(10):
        await waiting

    assert stuck == hub.clock.monotonic() - 1
    assert hub.told_sending == 1
    assert told == 0
    assert whole == BIG + b"last"
    assert connection.sending_since is None
    assert len(hub.telemetry.ages) == 2


async def test_a_client_that_takes_a_little_is_not_taken_for_one_that_takes_nothing(
    open_stream: Open, hub: Hub
) -> None:
    client, connection = await open_stream()
    connection.write(BIG)
    since = connection.sending_since

    hub.clock.advance(1)
    connection.write(b"more")
    unchanged = connection.sending_since
    await client.read(200_000)
    await asyncio.sleep(0)
    connection.write(b"more")

    assert since == unchanged == hub.clock.monotonic() - 1
    assert connection.sending_since == hub.clock.monotonic()


@pytest.mark.parametrize("bound", ["bytes", "events"])
async def test_beyond_the_bound_nothing_is_taken(open_stream: Open, bound: str) -> None:
    _, connection = await open_stream()
    connection.write(BIG, [1])

    if bound == "bytes":
        taken = [connection.write(BIG) for _ in range(4)]
    else:
        taken = [connection.write(b"e", [1] * (MAX_EVENTS // 2)) for _ in range(3)]

    assert taken[0]
    assert not taken[-1]
    assert len(BIG) < MAX_BYTES


@pytest.mark.parametrize("flush", [True, False])
async def test_at_the_end_what_waits_is_sent_or_dropped(open_stream: Open, hub: Hub, flush: bool) -> None:
    client, connection = await open_stream()
    connection.write(BIG)

    connection.close(flush=flush)
    connection.close(flush=True)
    after = connection.write(b"too late")
    whole = await client.read_to_end()

    assert after
    assert whole.endswith(b"x")
    assert (len(whole.partition(b"\r\n\r\n")[2]) == len(BIG)) == flush
    await eventually(lambda: hub.left == 1)


async def test_a_close_that_waits_for_the_client_can_be_cut(open_stream: Open, hub: Hub) -> None:
    _, connection = await open_stream()
    connection.write(BIG)
    connection.close(flush=True)
    assert hub.left == 0

    connection.drop()

    await eventually(lambda: hub.left == 1)


@pytest.mark.parametrize("blocked", [False, True])
@pytest.mark.parametrize("how", ["end", "reset", "half"])
async def test_a_client_that_leaves_is_noticed_and_whoever_waits_is_woken(
    open_stream: Open, hub: Hub, how: str, blocked: bool
) -> None:
    client, connection = await open_stream()
    if blocked:
        connection.write(BIG)
    waiting = asyncio.create_task(connection.drained())

    if how == "half":
        client.socket.shutdown(socket.SHUT_WR)
    else:
        if how == "reset":
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.socket.close()

    await eventually(lambda: hub.left == 1)
    await asyncio.wait_for(waiting, 5)
    assert connection.write(b"nobody is there")
    assert connection._connections == set()


async def test_requests_behind_the_stream_are_not_taken_without_end(open_stream: Open, hub: Hub) -> None:
    client, _ = await open_stream()
    few, _ = await open_stream()

    await few.send(REQUEST)
    await client.send(b"x" * (MAX_HEAD_BYTES + 1))

    await eventually(lambda: hub.left == 1)
    assert hub.refused == 0


async def test_a_server_that_stops_ends_the_connections_that_it_handed_over(
    open_stream: Open, hub: Hub, server: EmbeddedServer
) -> None:
    client, _ = await open_stream()

    await server.stop()

    assert (await client.read_to_end()).endswith(b"\r\n\r\n")
    assert hub.left == 1


async def test_a_request_whose_body_is_not_there_is_not_handed_over(server: EmbeddedServer, hub: Hub) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

    writer.write(b"GET / HTTP/1.1\r\nHost: g\r\nContent-Length: 5\r\n\r\n")
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
    writer.close()

    assert b"transfer-encoding: chunked" in head.lower()
    assert (hub.refused, hub.taken) == (1, [])


async def _body(client: Client, size: int) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        head += await client.read(1)
    return await client.read(size)
