"""What a connection to the gateway may hold open, over real sockets."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from starlette.types import Receive, Scope, Send

from eventbridge.adapters.http import gateway_protocol
from eventbridge.adapters.http.embedded_server import EmbeddedServer
from eventbridge.adapters.http.gateway_tuning import gateway_tuning

Connect = Callable[[], Awaitable["Client"]]


class Stream:
    """Answers with a head and then says nothing until the client leaves; `/short` at once and in whole."""

    def __init__(self) -> None:
        self.open = 0
        self.sizes: list[int] = []
        self.left = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/short":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
            await send({"type": "http.response.body", "body": b"short"})
            return
        self.open += 1
        self.sizes.append(sum(len(value) for _, value in scope["headers"]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b": ok\n\n", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        self.open -= 1
        self.left.set()


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def until_end(self) -> bytes:
        """What came until the server closed or reset the connection."""
        try:
            async with asyncio.timeout(10):
                return await self.reader.read()
        except ConnectionResetError:
            return b""

    async def until(self, part: bytes) -> bytes:
        async with asyncio.timeout(10):
            return await self.reader.readuntil(part)


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
async def server(stream: Stream) -> AsyncIterator[EmbeddedServer]:
    server = EmbeddedServer(stream, "127.0.0.1", 0, tuning=gateway_tuning(20))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def connect(server: EmbeddedServer) -> AsyncIterator[Callable[[], Awaitable[Client]]]:
    clients: list[Client] = []

    async def make() -> Client:
        clients.append(Client(*await asyncio.open_connection("127.0.0.1", server.port)))
        return clients[-1]

    yield make
    for client in clients:
        client.writer.transport.abort()
    await asyncio.gather(*(client.writer.wait_closed() for client in clients), return_exceptions=True)


async def test_a_head_over_the_limit_is_refused_with_431_and_a_problem_document(
    connect: Connect, stream: Stream
) -> None:
    client = await connect()

    client.writer.write(b"GET / HTTP/1.1\r\nHost: g\r\nCookie: ")
    for _ in range(64):
        client.writer.write(b"x" * 1024)
    answer = await client.until_end()

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["status"] == 431
    assert stream.sizes == []


async def test_what_is_no_http_is_refused_with_400_and_repeats_nothing(connect: Connect) -> None:
    client = await connect()

    client.writer.write(b"\x16\x03\x01 secret-token\r\n\r\n")
    answer = await client.until_end()

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer
    assert b"secret-token" not in answer


async def test_a_body_that_cannot_be_read_is_refused_once_and_is_no_error_of_ours(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    client, other = await connect(), await connect()

    client.writer.write(b"POST /short HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n")
    answer = await client.until_end()
    other.writer.write(b"GET /short HTTP/1.1\r\nHost: g\r\n\r\n")
    await other.until(b"short")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b"}")
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_who_asks_for_a_websocket_gets_an_answer_and_operators_no_advice(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    client = await connect()

    client.writer.write(
        b"GET /short HTTP/1.1\r\nHost: g\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    await client.until(b"short")

    assert caplog.messages == []


async def test_garbage_behind_a_running_answer_costs_only_that_connection(
    connect: Connect, stream: Stream
) -> None:
    client, other = await connect(), await connect()
    other.writer.write(b"GET / HTTP/1.1\r\nHost: g\r\n\r\n")
    await other.until(b": ok\n\n")

    client.writer.write(b"GET / HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n")
    await client.until(b": ok\n\n")
    client.writer.write(b"no size of a chunk\r\n")
    await client.until_end()

    async with asyncio.timeout(10):
        await stream.left.wait()
    assert stream.open == 1


async def test_a_client_that_asks_for_more_behind_a_stream_is_still_noticed_when_it_leaves(
    connect: Connect, stream: Stream
) -> None:
    client = await connect()
    request = b"GET / HTTP/1.1\r\nHost: g\r\n\r\n"
    client.writer.write(request)
    await client.until(b": ok\n\n")
    for _ in range(3):
        client.writer.write(request)
        await client.writer.drain()

    client.writer.transport.abort()

    async with asyncio.timeout(5):
        await stream.left.wait()
    assert stream.open == 0


async def test_endless_requests_behind_a_stream_end_it(connect: Connect, stream: Stream) -> None:
    client = await connect()
    request = b"GET / HTTP/1.1\r\nHost: g\r\n\r\n"
    client.writer.write(request)
    await client.until(b": ok\n\n")

    client.writer.write(request * 1000)

    async with asyncio.timeout(5):
        await stream.left.wait()
    assert stream.open == 0


async def test_a_head_that_does_not_come_to_its_end_is_not_waited_for(
    connect: Connect, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_protocol, "REQUEST_SECONDS", 0.2)
    silent, slow = await connect(), await connect()

    slow.writer.write(b"GET / HTTP/1.1\r\n")

    for client in (silent, slow):
        assert await client.until_end() == b""
        assert stream.sizes == []


async def test_a_body_that_does_not_come_to_its_end_is_not_waited_for_either(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the answer did not wait for it; each piece of it would else put the end off for good."""
    monkeypatch.setattr(gateway_protocol, "REQUEST_SECONDS", 0.2)
    client = await connect()
    client.writer.write(b"POST /short HTTP/1.1\r\nHost: g\r\nContent-Length: 1000\r\n\r\n")
    await client.until(b"short")

    client.writer.write(b"x")

    assert await client.until_end() == b""


async def test_connections_inherit_bounded_buffers_and_a_limit_to_silence(
    monkeypatch: pytest.MonkeyPatch, connect: Connect
) -> None:
    accepted: list[tuple[int, int, int]] = []
    made = gateway_protocol.GatewayProtocol.connection_made

    def look(self: gateway_protocol.GatewayProtocol, transport: asyncio.Transport) -> None:
        plain = transport.get_extra_info("socket")
        accepted.append(
            (
                plain.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF),
                plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
                plain.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            )
        )
        made(self, transport)

    monkeypatch.setattr(gateway_protocol.GatewayProtocol, "connection_made", look)

    client = await connect()
    client.writer.write(b"GET / HTTP/1.1\r\nHost: g\r\n\r\n")
    await client.until(b": ok\n\n")

    assert accepted == [(2 * 64 * 1024, 25_000, 1)]
