"""A gateway over streams in memory, whose connects, replays and ends are cut short at every single moment.

A moment is a turn of the event loop: clients and server share one, and what stands for Redis answers after
some turns, so that the moments of one connect are the same each time.
"""

import asyncio
import json
import os
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

import pytest
import uvicorn
from dependency_injector import providers

from eventbridge.adapters.http import gateway_protocol
from eventbridge.adapters.memory import MemoryEventFeed, MemoryEventSink
from eventbridge.adapters.system_clock import SystemClock
from eventbridge.application.gateway_ports import FeedPage, Hear, Identity
from eventbridge.domain.delivery import Batch, Mark, Partition
from eventbridge.domain.message import SSEMessage
from eventbridge.domain.position import StreamId
from eventbridge.domain.request_parts import Headers, Query
from eventbridge.domain.routing import Target
from eventbridge.entrypoints import gateway_work
from eventbridge.entrypoints.gateway import Gateway
from eventbridge.entrypoints.gateway_container import GatewayContainer
from eventbridge.entrypoints.settings import Settings
from tests.unit.application.hub_under_test import ANN, eventually, pause

EVENTS = 120
"""More than one read answers."""

AFTERWARDS = 3
"""Moments that are looked at after a page has come as far as it does."""

TOLD = re.compile(rb"\nretry: \d+\n\n(\r\n0\r\n\r\n)?$")
"""How an answer ends that says when to come again, in chunks or without."""

SETTINGS: dict[str, object] = {
    "jwt_key": "a shared secret of more than thirty-two bytes",
    "jwt_algorithms": ("HS256",),
    "jwt_audience": "pages",
    "port": 0,
    "drain_seconds": 1,
}


class Visitors:
    """Whoever asks is Ann, as soon as that is known."""

    async def identify(self, headers: Headers, query: Query) -> Identity:
        await pause(2)
        return Identity(ANN, 4_000_000_000, None)


class SharedSlots:
    """The `Leases` port: a slot is taken, and given back, while the caller waits."""

    def __init__(self) -> None:
        self.held: set[str] = set()

    async def take(self, user_id: str, connection: str, limit: int) -> bool:
        await pause(2)
        self.held.add(connection)
        await pause(2)
        return True

    async def release(self, user_id: str, connection: str) -> None:
        await pause(2)
        self.held.discard(connection)
        await pause(2)


class NoRevocations:
    """The `Revocations` port: nobody is revoked, nothing announced."""

    async def is_revoked(self, identity: Identity) -> bool:
        raise NotImplementedError

    async def revoke(self, *, user_id: str | None = None, token_id: str | None = None) -> None:
        raise NotImplementedError

    async def announced(self, hear: Hear[str]) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None: ...


class Feed(MemoryEventFeed):
    """A read takes some moments before it looks, and some after."""

    async def read(self, target: Target, after: StreamId | None, count: int) -> FeedPage:
        await pause(2)
        page = await super().read(target, after, count)
        await pause(2)
        return page

    async def close(self) -> None: ...


class Client:
    """A page: one request, and whatever comes back."""

    def __init__(self, port: int, cursor: str) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.setblocking(False)
        # Over loopback the kernel has connected, and takes the request, before the server looks.
        self._socket.connect_ex(("127.0.0.1", port))
        self._socket.send(f"GET /events HTTP/1.1\r\nHost: g\r\nLast-Event-ID: {cursor}\r\n\r\n".encode())

    def leave(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._socket.close()

    def say_no_more(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    async def read_to_end(self) -> bytes:
        """All that comes, and then go."""
        found = b""
        try:
            async with asyncio.timeout(10):
                while piece := await asyncio.get_running_loop().sock_recv(self._socket, 1 << 20):
                    found += piece
        except ConnectionError:
            pass
        self._socket.close()
        return found


class Situation(NamedTuple):
    """What becomes of a page that is let be."""

    event_bytes: int
    arrived: Callable[[dict[str, int]], bool]


SITUATIONS = {
    "it goes live": Situation(10, lambda held: held["live"] == 1),
    "it takes nothing": Situation(3000, lambda held: held["stuck"] == 1),
}


class House:
    """A gateway and all that it holds."""

    def __init__(self, container: GatewayContainer, leases: SharedSlots, feed: Feed, cursor: str) -> None:
        self.gateway = Gateway(container)
        self._container = container
        self._leases = leases
        self._feed = feed
        self._cursor = cursor

    def connect(self) -> Client:
        """A page that has missed every event but the first."""
        return Client(self.gateway.port, self._cursor)

    def held(self) -> dict[str, int]:
        """For clients, and for all else."""
        streams, sessions = self._container.open_streams(), self._container.hub().sessions()
        return {
            "slots": self._container.admission().open,
            "leases": len(self._leases.held),
            "streams": len(streams),
            "stuck": sum(stream.sending_since is not None for stream in streams._streams),
            "sessions": len(sessions),
            "live": sum(session.live for session in sessions),
            "watched": self._feed.watched.total(),
            "connections": len(self._server.server_state.connections),
            "tasks": len(asyncio.all_tasks()),
            "descriptors": descriptors(),
        }

    async def at_rest(self) -> dict[str, int]:
        """What is held once everything was made that is made once."""
        client = self.connect()
        await self.comes_to(lambda held: held["streams"] == 1, "the first page is not served")
        client.leave()
        await self.comes_to(lambda held: not held["leases"] and not held["watched"], "the first page stays")
        await eventually(lambda: self._container.lifecycle().health().ready)
        now = self.held()
        while True:
            await pause(20)
            before, now = now, self.held()
            if before == now:
                return now

    async def comes_back_to(self, before: dict[str, int], when: str) -> None:
        """Wait until no more is held than before."""
        await self.comes_to(
            lambda held: all(held[name] <= before[name] for name in held), f"{when}, before {before}"
        )

    async def comes_to(self, state: Callable[[dict[str, int]], bool], what: str) -> None:
        try:
            await eventually(lambda: state(self.held()), 5)
        except TimeoutError:
            raise AssertionError(f"{what}: {self.held()}") from None

    def cancel(self, coroutine: str) -> bool:
        """Cancel the task that runs it; answers whether there is one."""
        found = [
            task
            for task in asyncio.all_tasks()
            if getattr(task.get_coro(), "__qualname__", "") == coroutine and task.cancel()
        ]
        return bool(found)

    async def stop(self) -> None:
        """As after a failure, without a drain."""
        # uvicorn looks every 0.1 s whether it is to stop; here it does it at this very moment, and once.
        stopping = asyncio.create_task(self._server.shutdown())
        self._server.shutdown = lambda sockets=None: stopping  # type: ignore[method-assign, assignment, return-value]
        await asyncio.sleep(0)
        await self.gateway.stop()

    async def drain_and_stop(self) -> None:
        """As after a signal."""
        await self.gateway.drain()
        await self.gateway.stop()

    async def start(self) -> None:
        await self.gateway.start()
        server = self._container.server()._server
        assert server is not None
        self._server: uvicorn.Server = server


class Moments:
    """One after the other, as turns of the loop since a client connected: to the last one that matters."""

    def __init__(self, situation: Situation) -> None:
        self._arrived = situation.arrived
        self._after = 0
        self.number = -1

    def __iter__(self) -> "Moments":
        return self

    def __next__(self) -> int:
        if self._after > AFTERWARDS:
            raise StopIteration
        self.number += 1
        return self.number

    async def passed(self, gateway: House) -> None:
        """Wait until it is this moment."""
        await pause(self.number)
        self._after += self._arrived(gateway.held())


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only how many


@asynccontextmanager
async def house(situation: Situation) -> AsyncIterator[House]:
    clock = SystemClock()
    sink = MemoryEventSink(1, clock=clock)
    await sink.apply(Batch(0, (Mark(Partition("t", 0), None, 0),)))
    event = SSEMessage(event="E", data=json.dumps({"x": "x" * situation.event_bytes}).encode())
    cursor = await sink.publish_event(ANN, event)
    for _ in range(EVENTS):
        await sink.publish_event(ANN, event)
    container = GatewayContainer(settings=Settings.model_validate({"gateway": SETTINGS}))
    leases, feed = SharedSlots(), Feed(sink, clock)
    container.identities.override(providers.Object(Visitors()))
    container.leases.override(providers.Object(leases))
    container.revocations.override(providers.Object(NoRevocations()))
    container.feed.override(providers.Object(feed))
    built = House(container, leases, feed, cursor)
    await built.start()
    try:
        yield built
    finally:
        await built.gateway.stop()


@pytest.fixture(params=["handed over", "plain"], autouse=True)
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "plain":
        monkeypatch.setattr(gateway_protocol, "HANDOVER", "an extension that nobody asks for")
    return str(request.param)


@pytest.fixture(params=SITUATIONS)
def situation(request: pytest.FixtureRequest) -> Situation:
    return SITUATIONS[request.param]


@pytest.mark.parametrize("how", [Client.leave, Client.reset, Client.say_no_more])
async def test_a_client_that_vanishes_at_any_moment_leaves_nothing(
    situation: Situation, how: Callable[[Client], None]
) -> None:
    async with house(situation) as gateway:
        before = await gateway.at_rest()
        moments = Moments(situation)
        for moment in moments:
            client = gateway.connect()
            await moments.passed(gateway)

            how(client)

            if how is Client.say_no_more:
                await client.read_to_end()
            await gateway.comes_back_to(before, f"moment {moment}")


@pytest.mark.parametrize("task", ["RequestResponseCycle.run_asgi", "StreamSession._catch_up"])
async def test_a_request_or_a_replay_that_is_cancelled_at_any_moment_leaves_nothing(
    situation: Situation, task: str
) -> None:
    cancelled = 0
    async with house(situation) as gateway:
        before = await gateway.at_rest()
        moments = Moments(situation)
        for moment in moments:
            client = gateway.connect()
            await moments.passed(gateway)

            if gateway.cancel(task):
                cancelled += 1
                await gateway.comes_to(lambda held: held["sessions"] == 0, f"moment {moment}")

            client.leave()
            await gateway.comes_back_to(before, f"moment {moment}")

    assert cancelled > 5


@pytest.mark.filterwarnings(
    # A connection that is accepted in the turn in which its listener is closed, asyncio itself forgets to
    # close (CPython's issue 109564).
    "ignore:unclosed:ResourceWarning"
)
@pytest.mark.parametrize("end", [House.stop, House.drain_and_stop])
async def test_a_gateway_that_stops_at_any_moment_leaves_nothing(
    situation: Situation, end: Callable[[House], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_work, "FLUSH_SECONDS", 0.3)
    async with house(situation) as first:
        await first.at_rest()  # so that everything is made that is made once
    before = len(asyncio.all_tasks()), descriptors()
    moments = Moments(situation)

    async def stopped(gateway: House, client: Client) -> tuple[bool, bytes]:
        await end(gateway)
        held = gateway.held()
        kept = [held["slots"], held["streams"], held["sessions"]]
        if situation is SITUATIONS["it goes live"]:
            kept.append(held["connections"])
        if end is House.drain_and_stop:
            kept.append(held["leases"])  # else they are over by themselves, later
        return any(kept), await client.read_to_end()

    async with AsyncExitStack() as houses:
        ends = []
        for _ in moments:
            gateway = await houses.enter_async_context(house(situation))
            await gateway.at_rest()
            client = gateway.connect()
            await moments.passed(gateway)
            ends.append(asyncio.create_task(stopped(gateway, client)))
        found = await asyncio.gather(*ends)

    assert [moment for moment, (kept, _) in enumerate(found) if kept] == []
    assert (len(asyncio.all_tasks()), descriptors()) == before
    if end is House.drain_and_stop and situation is SITUATIONS["it goes live"]:
        # Whoever was let in, and whoever was not, is told when to come again.
        assert [moment for moment, (_, said) in enumerate(found) if not TOLD.search(said)] == []
