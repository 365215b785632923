"""Streams end when their time is over, when revoked, and at a stop: each with a reason, none forgotten."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence

import pytest

from eventbridge.adapters.memory.clock import ManualClock
from eventbridge.application import open_streams
from eventbridge.application.admission import Admission, AdmissionLimits, Admitted, Refused
from eventbridge.application.errors import SinkUnavailable
from eventbridge.application.gateway_ports import Hear, Identity
from eventbridge.application.open_streams import SWEEP_SECONDS, EndedBy, OpenStreams

ANN = "3f2b8c1e-0000-4000-8000-00000000000a"
BOB = "3f2b8c1e-0000-4000-8000-00000000000b"


class Revoked:
    """The `Revocations` port in memory; the test announces."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.away = False
        self.asked = asyncio.Semaphore(0)
        self._batches: asyncio.Queue[Sequence[str]] = asyncio.Queue()

    def announce(self, *names: str) -> None:
        self._batches.put_nowait(names)

    async def is_revoked(self, identity: Identity) -> bool:
        self.asked.release()
        if self.away:
            raise SinkUnavailable("connection")
        return f"user:{identity.user_id}" in self.names

    async def revoke(self, *, user_id: str | None = None, token_id: str | None = None) -> None:
        raise NotImplementedError

    async def announced(self, hear: Hear[str]) -> None:
        while True:
            hear(await self._batches.get())


class EnoughSlots:
    """The `Leases` port; notes what is taken, and taken again."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.renewed = asyncio.Event()

    async def take(self, user_id: str, connection: str, limit: int) -> bool:
        if connection in self.taken:
            self.renewed.set()
        self.taken.append(connection)
        return True

    async def release(self, user_id: str, connection: str) -> None: ...


class NoNumbers:
    def connected(self) -> None: ...
    def disconnected(self, reason: str) -> None: ...
    def resumed(self, result: str) -> None: ...
    def delivered(self, timestamps: Sequence[int | None], now_ms: int) -> None: ...
    def failed_open(self, limit: str) -> None: ...


class Stream:
    """A stream that notes what is done to it."""

    def __init__(self, slot: Admitted, user_id: str = ANN, token_id: str | None = None) -> None:
        self.identity = Identity(user_id, 4_000_000_000, token_id)
        self.slot = slot
        self.ends_at = float("inf")
        self.ends_with_token = False
        self.looks = 0
        self._sending_since: float | None = None
        self.ended: list[tuple[EndedBy, int | None]] = []
        self.was_cut: list[EndedBy] = []
        self.over = asyncio.Event()

    @property
    def sending_since(self) -> float | None:
        self.looks += 1
        return self._sending_since

    @sending_since.setter
    def sending_since(self, since: float | None) -> None:
        self._sending_since = since

    def end(self, reason: EndedBy, retry_ms: int | None) -> None:
        self.ended.append((reason, retry_ms))
        self.over.set()

    def cut(self, reason: EndedBy) -> None:
        self.was_cut.append(reason)


class World:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.revoked = Revoked()
        self.leases = EnoughSlots()
        self.admission = Admission(AdmissionLimits(per_user=9), self.leases, NoNumbers(), self.clock)
        self.chance = 0.5
        self.streams = OpenStreams(
            self.revoked,
            self.clock,
            max_age_seconds=900,
            send_timeout_seconds=20,
            chance=lambda: self.chance,
        )

    def stream(self, user_id: str = ANN, token_id: str | None = None) -> Stream:
        slot = self.admission.enter("192.0.2.1")
        assert not isinstance(slot, Refused)
        return Stream(slot, user_id, token_id)

    def open(self, user_id: str = ANN, token_id: str | None = None, *, lasts: float = math.inf) -> Stream:
        stream = self.stream(user_id, token_id)
        stream.ends_at = self.clock.monotonic() + lasts
        self.streams.add(stream, self.streams.heard)
        return stream


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def running(world: World) -> AsyncIterator[World]:
    task = asyncio.create_task(world.streams.run())
    yield world
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 720), (0.5, 900), (1.0, 1080)])
def test_ages_differ_by_a_fifth_to_either_side(world: World, chance: float, seconds: float) -> None:
    world.chance = chance

    ends_at, with_token = world.streams.lifetime(Identity(ANN, 4_000_000_000, None))

    assert ends_at - world.clock.monotonic() == pytest.approx(seconds)
    assert not with_token


def test_no_stream_outlives_its_token(world: World) -> None:
    expires_at = world.clock.now_ms() // 1000 + 60

    ends_at, with_token = world.streams.lifetime(Identity(ANN, expires_at, None))

    assert with_token
    assert 58 <= ends_at - world.clock.monotonic() <= 60 - open_streams.SWEEP_SECONDS


def test_what_is_too_old_is_told_when_to_come_again(world: World) -> None:
    old, of_token, young = world.open(lasts=60), world.open(lasts=59.5), world.open(lasts=60.5)
    of_token.ends_with_token = True

    world.clock.advance(60)
    world.streams.sweep()

    assert old.ended == [(EndedBy.AGE, 1750)]
    assert of_token.ended == [(EndedBy.TOKEN, 1750)]
    assert young.ended == []


@pytest.mark.parametrize("lasts", [0.25, 0.75, 1.0, 59.5, 3600.0, 3601.25, 100_000.5])
def test_none_is_ended_before_its_time_nor_more_than_a_sweep_after_it(world: World, lasts: float) -> None:
    world.clock.advance(0.75)
    opened = world.clock.monotonic()
    stream = world.open(lasts=lasts)

    while not stream.ended:
        world.clock.advance(SWEEP_SECONDS)
        world.streams.sweep()

    assert lasts <= world.clock.monotonic() - opened < lasts + SWEEP_SECONDS
    assert len(stream.ended) == 1


def test_a_sweep_that_comes_a_little_early_ends_what_is_over(world: World) -> None:
    world.clock.advance(0.0002)
    world.streams.sweep()
    world.clock.advance(0.2)
    stream = world.open(lasts=0.1)

    world.clock.advance(0.7996)
    world.streams.sweep()

    assert stream.ended


def test_of_thousands_that_go_their_way_none_is_looked_at(world: World) -> None:
    stream = world.open()
    world.streams.watch(stream)
    world.streams.sweep()
    before = stream.looks

    world.streams.sweep()

    assert stream.looks == before


def test_what_left_before_its_time_was_over_is_not_ended_then(world: World) -> None:
    left, stays = world.open(lasts=5), world.open(lasts=5)

    world.streams.remove(left)
    world.clock.advance(6)
    world.streams.sweep()

    assert left.ended == []
    assert stays.ended == [(EndedBy.AGE, 1750)]


def test_what_takes_nothing_for_too_long_is_cut(world: World) -> None:
    frozen, slow, gone = world.open(), world.open(), world.open()
    frozen.sending_since = gone.sending_since = world.clock.monotonic()
    for stream in (frozen, slow, gone):
        world.streams.watch(stream)
    world.streams.remove(gone)
    world.clock.advance(20.5)
    slow.sending_since = world.clock.monotonic() - 19

    world.streams.sweep()

    assert frozen.was_cut == [EndedBy.SEND_TIMEOUT]
    assert slow.was_cut == gone.was_cut == []


def test_what_took_something_again_is_watched_when_it_is_stuck_again(world: World) -> None:
    slow = world.open()
    for since in (world.clock.monotonic(), None, world.clock.monotonic()):
        slow.sending_since = since
        if since is not None:
            world.streams.watch(slow)
        world.streams.sweep()
    world.clock.advance(20.5)

    world.streams.sweep()

    assert slow.was_cut == [EndedBy.SEND_TIMEOUT]


def test_a_stream_that_is_stuck_when_it_is_added_is_cut_too(world: World) -> None:
    frozen = world.stream()
    frozen.sending_since = world.clock.monotonic()
    world.streams.add(frozen, world.streams.heard)
    world.clock.advance(20.5)

    world.streams.sweep()

    assert frozen.was_cut == [EndedBy.SEND_TIMEOUT]


def test_a_users_connections_are_cut_and_nobody_elses(world: World) -> None:
    anns, bobs = [world.open(ANN), world.open(ANN)], world.open(BOB)

    count = world.streams.cut_user(ANN)

    assert count == 2
    assert [stream.was_cut for stream in anns] == [[EndedBy.CUT]] * 2
    assert bobs.was_cut == []


async def test_a_revoked_user_and_a_revoked_token_are_ended_and_nobody_else(running: World) -> None:
    ann, bob, bobs_other = running.open(ANN), running.open(BOB, "token-1"), running.open(BOB, "token-2")

    running.revoked.announce(f"user:{ANN}", "jti:token-1")
    async with asyncio.timeout(5):
        await asyncio.gather(ann.over.wait(), bob.over.wait())

    assert ann.ended == [(EndedBy.REVOKED, None)]
    assert bob.ended == [(EndedBy.REVOKED, None)]
    assert bobs_other.ended == []


async def test_after_a_reconnect_every_open_stream_is_asked_for(running: World) -> None:
    streams = [running.open(ANN) for _ in range(40)]
    bob = running.open(BOB)
    running.revoked.names.add(f"user:{ANN}")

    running.revoked.announce()
    async with asyncio.timeout(5):
        await asyncio.gather(*(stream.over.wait() for stream in streams))

    assert bob.ended == []


async def test_what_cannot_be_asked_is_asked_again(running: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_streams, "SWEEP_SECONDS", 0.01)
    ann = running.open(ANN)
    running.revoked.names.add(f"user:{ANN}")
    running.revoked.away = True

    running.revoked.announce()
    async with asyncio.timeout(5):
        await running.revoked.asked.acquire()
        assert ann.ended == []
        running.revoked.away = False
        await ann.over.wait()

    assert ann.ended == [(EndedBy.REVOKED, None)]


async def test_a_page_that_was_identified_before_an_announcement_is_asked_for_again(running: World) -> None:
    heard_before = running.streams.heard
    running.revoked.names.add(f"user:{ANN}")
    witness = running.open(ANN)
    running.revoked.announce(f"user:{ANN}")
    async with asyncio.timeout(5):
        await witness.over.wait()

    late = running.stream(ANN)
    running.streams.add(late, heard_before)

    async with asyncio.timeout(5):
        await late.over.wait()
    assert late.ended == [(EndedBy.REVOKED, None)]


async def test_a_stop_ends_all_streams_over_the_time_given(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        world.clock.advance(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(open_streams, "DRAIN_PER_SECOND", 0.1)
    streams = [world.open() for _ in range(10)]
    gone = world.open()
    world.streams.remove(gone)

    await world.streams.drain(20)

    assert world.streams.draining
    assert all(stream.ended == [(EndedBy.DRAIN, 1750)] for stream in streams)
    assert gone.ended == []
    assert pauses == pytest.approx([2.0] * 9)


async def test_few_streams_are_not_kept_waiting_for_the_end_of_the_time(running: World) -> None:
    streams = [running.open() for _ in range(3)]
    waiting = asyncio.create_task(running.streams.gone())

    async with asyncio.timeout(5):
        await running.streams.drain(86_400)
        for stream in streams:
            running.streams.remove(stream)
        await waiting

    assert all(stream.ended for stream in streams)


async def test_leases_are_renewed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_streams, "RENEW_SECONDS", 0.0)
    monkeypatch.setattr(open_streams, "SWEEP_SECONDS", 0.01)
    stream = world.stream()
    assert await stream.slot.claim(ANN, "connection-1") is None
    world.streams.add(stream, world.streams.heard)

    renewing = asyncio.create_task(world.streams.run())
    async with asyncio.timeout(5):
        await world.leases.renewed.wait()
    renewing.cancel()
    await asyncio.gather(renewing, return_exceptions=True)

    assert set(world.leases.taken) == {"connection-1"}
