"""FAULTS 44 to 46: clients that take nothing, vanish, or never begin cost nobody anything for long."""

import asyncio
import gc
import resource
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Self

import pytest
from uvicorn.protocols.http.h11_impl import RequestResponseCycle

from eventbridge.adapters.http.connection import UntilGone
from eventbridge.adapters.http.gateway_protocol import GatewayProtocol
from tests.integration.gateway.running import RunningGateway, bearer, new_user, running_gateway
from tests.integration.gateway.sse_client import Page, ask, begin, open_page
from tests.unit.application.hub_under_test import eventually, pause

pytestmark = pytest.mark.usefixtures("either_way")

FREED_SECONDS = 5.0
"""What a client leaves behind is gone by then."""


def connections_to(port: int) -> int:
    """Ends of connections to a local port that a process still holds."""
    held = 0
    for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}") and fields[3] in {"01", "08"}:  # ESTABLISHED, CLOSE_WAIT
            held += 1
    return held


Departure = Callable[[Page], None]


@pytest.fixture
async def gateway(redis_url: str) -> AsyncIterator[RunningGateway]:
    async with running_gateway(redis_url, max_connections_per_address=0, connects_per_second=0) as gateway:
        yield gateway


class Footprint:
    """What pages hold in the process: tasks, connections, slots, streams, channels."""

    def __init__(self, gateway: RunningGateway) -> None:
        self._gateway = gateway
        self.before = self.now()

    @classmethod
    async def taken(cls, gateway: RunningGateway) -> Self:
        """Once the subscription that all pages share has been made, and is kept."""
        async with open_page(gateway.port, "/events", bearer(new_user())) as page:
            await page.wait_for(lambda: bool(page.last_event_id))
        await gateway.until(lambda: gateway.streams == 0)
        return cls(gateway)

    def now(self) -> tuple[int, int, int, int, int]:
        gateway = self._gateway
        return (
            len(asyncio.all_tasks()),
            connections_to(gateway.port),
            gateway.slots,
            gateway.streams,
            len(gateway.container.hub().sessions()),
        )

    async def is_back(self) -> None:
        """Wait until no more is held than before."""
        try:
            await self._gateway.until(
                lambda: all(now <= before for now, before in zip(self.now(), self.before, strict=True)),
                FREED_SECONDS,
            )
        except TimeoutError:
            raise AssertionError(f"held before: {self.before}, now: {self.now()}") from None


async def test_a_stream_that_is_over_leaves_nothing_for_the_collection_of_garbage(
    gateway: RunningGateway, either_way: str
) -> None:
    """Also where the gateway ends it, so that nobody tells of the client's departure any more."""
    ours = (UntilGone,)
    kinds = (*ours, GatewayProtocol, RequestResponseCycle) if either_way == "handed over" else ours
    gc.collect()
    gc.disable()
    try:
        async with open_page(gateway.port, "/events", bearer(new_user())) as page:
            await page.wait_for_bytes(b"id: ")
            await gateway.container.open_streams().drain(0)
            await page.read_to_end()

        await gateway.until(lambda: not any(isinstance(each, kinds) for each in gc.get_objects()))
    finally:
        gc.enable()


@pytest.mark.parametrize("departure", [Page.leave, Page.reset])
async def test_a_client_that_leaves_while_idle_is_forgotten(
    gateway: RunningGateway, departure: Departure
) -> None:
    footprint = await Footprint.taken(gateway)
    user = new_user()
    pages = [await ask(gateway.port, "/events", bearer(user)) for _ in range(10)]
    for page in pages:
        await page.wait_for_bytes(b"id: ")
    assert gateway.streams == 10

    for page in pages:
        departure(page)

    await footprint.is_back()
    assert gateway.counted("gateway_connections") == 0
    assert gateway.counted("gateway_disconnects_total", reason="gone") == 10 + 1


@pytest.mark.parametrize("departure", [Page.leave, Page.reset])
async def test_a_client_that_leaves_while_it_is_sent_to_is_forgotten(
    gateway: RunningGateway, departure: Departure
) -> None:
    footprint = await Footprint.taken(gateway)
    user = new_user()
    page = await ask(gateway.port, "/events", bearer(user), receive_buffer=4096)
    await gateway.until(lambda: gateway.streams == 1)
    while gateway.stuck == 0:
        await gateway.publish(user, 1, size=20_000)

    departure(page)

    await footprint.is_back()


@pytest.mark.parametrize("departure", [Page.leave, Page.reset])
async def test_a_client_that_leaves_within_a_replay_is_forgotten(
    gateway: RunningGateway, departure: Departure
) -> None:
    user = new_user()
    position = await gateway.publish(user, 0)
    await gateway.publish(user, *range(1, 300), size=8_000)
    footprint = await Footprint.taken(gateway)
    page = await ask(
        gateway.port, "/events", {**bearer(user), "Last-Event-ID": position}, receive_buffer=4096
    )
    await page.wait_for_bytes(b'"n": 1,')

    departure(page)

    await footprint.is_back()
    assert gateway.counted("gateway_disconnects_total", reason="gone") == 1 + 1


async def test_ten_thousand_connects_that_are_reset_at_once_leave_nothing(
    gateway: RunningGateway, either_way: str
) -> None:
    """Some say nothing; the requests of the others come further from batch to batch, some to a stream."""
    footprint = await Footprint.taken(gateway)
    token = bearer(new_user())["Authorization"]
    request = f"GET /events HTTP/1.1\r\nHost: gateway\r\nAuthorization: {token}\r\n\r\n".encode()

    for batch in range(100 if either_way == "handed over" else 20):
        clients = [socket.socket() for _ in range(100)]
        for number, client in enumerate(clients):
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", gateway.port))
            if number % 4:
                client.send(request)
        await pause(4 * (batch % 20))
        for client in clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
        await eventually(lambda: len(asyncio.all_tasks()) < 100)

    await footprint.is_back()
    assert gateway.counted("gateway_connections") == 0
    assert gateway.counted("gateway_disconnects_total", reason="gone") > 100


@pytest.mark.parametrize(("events", "reason"), [(20, "send_timeout"), (50, "slow")])
async def test_a_frozen_reader_is_cut_within_the_time_limit_and_others_notice_nothing(
    redis_url: str, events: int, reason: str
) -> None:
    frozen_user, other_user = new_user(), new_user()
    async with running_gateway(redis_url, send_timeout_seconds=1.5) as gateway:
        frozen = await ask(gateway.port, "/events", bearer(frozen_user), receive_buffer=4096)
        async with open_page(gateway.port, "/events", bearer(other_user)) as other:
            await other.wait_for(lambda: bool(other.last_event_id))
            used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for number in range(events):
                await gateway.publish(frozen_user, number, size=20_000)
                await gateway.publish(other_user, number)
                assert (await other.next_data())["n"] == number
            await gateway.until(lambda: gateway.streams == 1)

        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used
        cut = gateway.counted("gateway_disconnects_total", reason=reason)
        frozen.reset()

    assert cut == 1
    assert grown < 16_384  # KiB


async def test_a_reader_that_is_too_slow_is_disconnected_and_resumes_without_loss(redis_url: str) -> None:
    user = new_user()
    async with running_gateway(redis_url, send_timeout_seconds=2, replay_max_entries=1000) as gateway:
        slow = await ask(gateway.port, "/events", bearer(user), receive_buffer=4096)
        await slow.wait_for(lambda: bool(slow.last_event_id))
        for first in range(0, 800, 50):
            await gateway.publish(user, *range(first, first + 50), size=2_000)
        await gateway.until(lambda: gateway.streams == 0)
        await slow.read_to_end()
        shown = [event.data for event in slow.events]
        slow.leave()

        resuming = {**bearer(user), "Last-Event-ID": slow.last_event_id}
        async with open_page(gateway.port, "/events", resuming) as again:
            await again.wait_for(lambda: len(shown) + len(again.events) >= 800)
            rest = [event.data for event in again.events]

    found = [int(text.split('"n": ')[1].split(",")[0]) for text in shown + rest]
    assert found == list(range(800))
    assert "reset" not in {event.type for event in again.events}


@pytest.mark.parametrize("cancelled", [False, True])
async def test_cut_short_at_any_moment_a_connect_leaves_nothing(
    gateway: RunningGateway, cancelled: bool
) -> None:
    """As in `unit/entrypoints/test_gateway.py`, where every moment is the same each time; with Redis' answers
    in between."""
    footprint = await Footprint.taken(gateway)
    user = new_user()
    header = {**bearer(user), "Last-Event-ID": await gateway.publish(user, 0)}
    await gateway.publish(user, *range(1, 200))
    turns = arrived = 0

    while arrived < 3:
        page = await begin(gateway.port, "/events", header)
        for _ in range(turns):
            await asyncio.sleep(0)
        arrived += any(session.live for session in gateway.container.hub().sessions())
        if cancelled:
            for task in asyncio.all_tasks():
                if getattr(task.get_coro(), "__qualname__", "") == "RequestResponseCycle.run_asgi":
                    task.cancel()
        page.reset()
        await eventually(lambda: gateway.slots == 0)
        turns += 1

    await footprint.is_back()
    assert turns > 5
