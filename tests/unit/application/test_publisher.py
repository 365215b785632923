"""The publisher: whose stream an event goes to, and what a failing sink does to it."""

import asyncio
import json
import logging
import uuid
from collections.abc import Sequence

import msgspec
import pytest

from eventbridge.adapters.memory import ManualClock, MemoryEventSink
from eventbridge.application import publisher as publishing
from eventbridge.application.cause_log import CauseLog
from eventbridge.application.errors import CircuitOpen, SinkMisconfigured, SinkUnavailable
from eventbridge.application.ports import Record
from eventbridge.application.publisher import Publisher
from eventbridge.application.sink_gate import SinkGate
from eventbridge.domain.circuit_breaker import BreakerPolicy, CircuitBreaker, CircuitState
from eventbridge.domain.delivery import Applied, Batch, Entry, Mark, Partition
from eventbridge.domain.envelope import Event
from eventbridge.domain.event_filter import EventFilter
from eventbridge.domain.routing import shard_of, user

from ..domain.envelopes import USER_ID, encoded, genesis
from .bridge_under_test import CountingTelemetry

P0 = Partition("t", 0)


class PublisherUnderTest:
    """A publisher before a sink in memory."""

    def __init__(self, *, waits_for_sink: bool = True) -> None:
        self.sink = MemoryEventSink(shards=4)
        self.telemetry = CountingTelemetry()
        self.clock = ManualClock()
        self.breaker = CircuitBreaker(BreakerPolicy(minimum_calls=3), self.clock.monotonic)
        self.publisher = Publisher(
            self.sink,
            SinkGate(self.breaker),
            self.telemetry,
            self.clock,
            CauseLog(logging.getLogger("test"), self.clock),
            waits_for_sink=waits_for_sink,
        )

    async def initialise(self) -> None:
        for shard in range(4):
            await self.sink.apply(Batch(shard, (Mark(P0, None, -1),)))


def event(user_id: str = USER_ID) -> Event:
    decided = EventFilter().decide(encoded(genesis({"user_id": user_id}, event_id=str(uuid.uuid4()))))
    assert isinstance(decided, Event)
    return decided


def batch_of(shard: int, entries: Sequence[Entry]) -> Batch:
    return Batch(shard, (Mark(P0, -1, entries[-1].offset),), entries)


def test_publisher_routes_by_user_id() -> None:
    publisher = PublisherUnderTest().publisher
    users = [str(uuid.UUID(int=n)) for n in range(40)]

    routed = [publisher.route(Record(n, 7, None, None), event(one), None) for n, one in enumerate(users)]

    assert [entry.target for _, entry in routed] == [user(one) for one in users]
    assert [shard for shard, _ in routed] == [shard_of(one, 4) for one in users]
    assert {shard for shard, _ in routed} == {0, 1, 2, 3}


async def test_an_event_of_its_own_reaches_the_stream_of_its_user() -> None:
    world = PublisherUnderTest()

    position = await world.publisher.publish_event(event())

    (entry,) = world.sink.stream(user(USER_ID))
    assert position.endswith(entry.id)
    assert json.loads(entry.data)["_scope"] == "user"
    assert USER_ID.encode() not in entry.data


async def test_publisher_handles_redis_failures() -> None:
    world = PublisherUnderTest()
    await world.initialise()
    shard, entry = world.publisher.route(Record(0, 7, None, None), event(), None)
    world.sink.fail_next(SinkUnavailable("timeout"))
    world.sink.lose_next_reply()

    (answer,) = await world.publisher.publish_batch(batch_of(shard, [entry]))

    assert isinstance(answer, Applied)
    assert answer.appended == 0
    assert len(world.sink.stream(user(USER_ID))) == 1
    assert world.telemetry.counts["failed:timeout"] == 2
    assert world.telemetry.counts["duplicates"] == 1
    assert world.breaker.failure_ratio == pytest.approx(2 / 3)


async def test_a_refusal_passes_through_and_says_nothing_about_the_circuit() -> None:
    world = PublisherUnderTest()
    await world.initialise()
    shard, entry = world.publisher.route(Record(0, 7, None, None), event(), None)

    world.sink.fail_next(SinkMisconfigured("rights"))
    with pytest.raises(SinkMisconfigured):
        await world.publisher.publish_batch(batch_of(shard, [entry]))

    assert world.breaker.failure_ratio == 0
    assert world.breaker.state is CircuitState.CLOSED


async def test_one_event_is_never_sent_again_by_itself() -> None:
    world = PublisherUnderTest()
    world.sink.lose_next_reply()

    with pytest.raises(SinkUnavailable):
        await world.publisher.publish_event(event())

    assert len(world.sink.stream(user(USER_ID))) == 1


async def test_a_publisher_that_does_not_wait_says_that_the_circuit_is_open() -> None:
    world = PublisherUnderTest(waits_for_sink=False)
    await world.initialise()
    shard, entry = world.publisher.route(Record(0, 7, None, None), event(), None)
    world.sink.down = True

    with pytest.raises(CircuitOpen):
        await world.publisher.publish_batch(batch_of(shard, [entry]))

    assert world.breaker.state is CircuitState.OPEN
    assert world.telemetry.counts["failed:connection"] == 3


async def test_the_age_of_repeats_is_not_measured() -> None:
    world = PublisherUnderTest()
    await world.initialise()
    shard, entry = world.publisher.route(Record(0, 7, None, None), event(), None)
    later = msgspec.structs.replace(entry, offset=1)
    await world.publisher.publish_batch(batch_of(shard, [entry]))

    (answer,) = await world.publisher.publish_batch(batch_of(shard, [entry, later]))

    assert isinstance(answer, Applied)
    assert (answer.appended, world.telemetry.counts["duplicates"]) == (1, 1)


async def test_a_probe_that_is_cancelled_on_its_way_is_given_back() -> None:
    world = PublisherUnderTest()
    await world.initialise()
    shard, entry = world.publisher.route(Record(0, 7, None, None), event(), None)
    for _ in range(3):
        permit = world.breaker.acquire()
        assert permit is not None
        world.breaker.failed(permit)
    world.clock.advance(5)

    publishing = asyncio.create_task(world.publisher.publish_batch(batch_of(shard, [entry])))
    await asyncio.sleep(0)
    state_on_the_way = world.breaker.state
    publishing.cancel()
    await asyncio.wait([publishing])

    assert state_on_the_way is CircuitState.HALF_OPEN
    assert world.breaker.state is CircuitState.OPEN
    assert world.breaker.acquire() is not None


def test_users_are_routed_alike_while_they_are_remembered_and_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publishing, "MAX_ROUTES", 2)
    under_test = PublisherUnderTest()
    users = [str(uuid.uuid4()) for _ in range(5)]
    record = Record(0, 0, None, b"")

    for user_id in [*users, *users, users[-1], users[-1]]:
        shard, entry = under_test.publisher.route(record, event(user_id), None)

        assert (shard, entry.target) == (shard_of(user_id, 4), user(user_id))
