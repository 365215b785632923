"""FAULTS 39, 41 and 49 by brute force: whatever bytes come in, what goes out is an answer, and one's own.

4xx, or a stream that begins with a reset: never a 500, a stack trace, another user's event, or a command that
Redis refuses.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.gateway.hostile_requests import Stakes, requests, with_odd_times
from tests.integration.gateway.running import RunningGateway, new_user, running_gateway, token
from tests.servers import RedisServer

FIT = {200, 204, 400, 401, 403, 404, 405, 431}
FORBIDDEN = (b"Traceback", b'File "', b"redis.", b"WRONGTYPE", b"NOPERM", b"ERR ", b"of-the-victim")
SILENCE_SECONDS = 0.02
"""A request that is not whole has no answer; after so long its end is closed, and that is answered."""

_HEAD = re.compile(rb"(?:HTTP/1\.1 1\d\d[^\r]*\r\n\r\n)?HTTP/1\.1 (\d{3})[^\r]*\r\n((?:[^\r]+\r\n)*)\r\n")
"""Perhaps after `100 Continue`."""


def settled(answer: bytes) -> bool:
    """Whether all is there that the gateway will say by itself."""
    head = _HEAD.match(answer)
    if head is None:
        return False
    length = re.search(rb"content-length: (\d+)", head[2])
    body = answer[head.end() :]
    return head[1] == b"204" or (len(body) >= int(length[1]) if length else b"\nid: " in body)


async def converse(port: int, request: bytes, pieces: int) -> bytes:
    """Send it in so many pieces, and answer with all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        size = len(request) // pieces + 1
        for place in range(0, len(request), size):
            writer.write(request[place : place + size])
            await asyncio.sleep(0)
        silent = False
        async with asyncio.timeout(10):
            while not settled(answer):
                try:
                    async with asyncio.timeout(None if silent else SILENCE_SECONDS):
                        if not (piece := await reader.read(65536)):
                            break
                        answer += piece
                except TimeoutError:
                    if silent:
                        raise
                    silent = True
                    writer.write_eof()
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()
    return answer


def answers(said: bytes) -> list[int]:
    """The status of each answer; fails where something else was said."""
    found, place = [], 0
    while place < len(said):
        head = _HEAD.match(said, place)
        assert head is not None, said[place : place + 300]
        status, length = int(head[1]), re.search(rb"content-length: (\d+)", head[2])
        found.append(status)
        place = head.end()
        if status >= 400:
            assert b"content-type: application/problem+json" in head[2], head[2]
        if status == 200 and length is None:
            assert b"content-type: text/event-stream" in head[2], head[2]
            return found
        if length and not said.startswith(b"HTTP/1.1 ", place):  # HEAD is answered without the body
            place += int(length[1])
    return found


class Complaints(logging.Handler):
    """What is logged as a defect."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.getMessage()} {record.__dict__.get('exception', record.exc_info)}")


@pytest.fixture
def complaints() -> Any:
    handler = Complaints()
    logging.getLogger().addHandler(handler)
    yield handler.lines
    logging.getLogger().removeHandler(handler)


def test_whatever_bytes_come_in_the_answer_is_an_answer_and_ones_own(
    redis_server: Callable[..., RedisServer], complaints: list[str]
) -> None:
    redis = redis_server()
    statuses: dict[int, int] = {}

    async def prepared(gateway: RunningGateway) -> Stakes:
        user, victim = new_user(), new_user()
        mine = await gateway.publish(user, *range(5))
        theirs = await gateway.publish(victim, *range(5), note="of-the-victim")
        return Stakes(user, token(user, seconds=3000), (mine, theirs))

    with asyncio.Runner() as runner:
        runner.get_loop().set_exception_handler(lambda _, told: complaints.append(str(told)))
        running = running_gateway(
            redis.url,
            cors_origins=("https://app.example",),
            trusted_proxies=("127.0.0.0/8",),
            max_connections_per_address=0,
            max_connections_per_user=1000,
            connects_per_second=0,
        )
        gateway = runner.run(running.__aenter__())
        stakes = runner.run(prepared(gateway))

        def ask(request: bytes, pieces: int) -> None:
            said = runner.run(converse(gateway.port, request, pieces))
            for status in answers(said):
                assert status in FIT
                statuses[status] = statuses.get(status, 0) + 1
            assert [word for word in FORBIDDEN if word in said] == []
            assert complaints == []

        @settings(
            max_examples=300,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(st.data())
        def explore(data: st.DataObject) -> None:
            ask(data.draw(requests(stakes)), data.draw(st.sampled_from([1, 2, 7, 500])))

        try:
            for request in with_odd_times(stakes):
                ask(request, 1)
            explore()
            runner.run(gateway.until(lambda: gateway.slots == gateway.streams == 0))
            refused = redis.command("INFO", "errorstats")
        finally:
            runner.run(running.__aexit__(None, None, None))

    assert "errorstat_" not in refused
    assert {200, 400, 401, 404} <= statuses.keys()
