"""The gate before the sink: who is let through, who is woken, and that nobody strands the breaker."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from eventbridge.application.sink_gate import SinkGate
from eventbridge.domain.circuit_breaker import BreakerPolicy, CircuitBreaker, Permit


class Alarm:
    """A timer that rings when the test moves the clock past it."""

    def __init__(self, at: float, callback: Callable[[], None]) -> None:
        self.at = at
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class World:
    """A gate whose clock and timers are moved by the test."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.alarms: list[Alarm] = []
        self.breaker = CircuitBreaker(BreakerPolicy(), lambda: self.now)
        self.gate = SinkGate(self.breaker, call_later=self.call_later)
        self.changes: list[str] = []
        self.stop_listening = self.gate.listen(
            opened=lambda: self.changes.append("opened"), closed=lambda: self.changes.append("closed")
        )

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Alarm:
        alarm = Alarm(self.now + seconds, callback)
        self.alarms.append(alarm)
        return alarm

    @property
    def pending(self) -> list[Alarm]:
        return [alarm for alarm in self.alarms if not alarm.cancelled]

    async def pass_seconds(self, seconds: float) -> None:
        """Let the time pass, the timers ring, and every task run until it waits again."""
        self.now += seconds
        due = [alarm for alarm in self.pending if alarm.at <= self.now]
        self.alarms = [alarm for alarm in self.pending if alarm.at > self.now]
        for alarm in due:
            alarm.callback()
        await settled()

    def permit(self) -> Permit:
        permit = self.gate.try_admitted()
        assert permit is not None
        return permit

    def open(self) -> None:
        for _ in range(2):
            self.gate.failed(self.permit())
        assert self.gate.is_open


async def settled() -> None:
    """Give every task that can run its turns."""
    for _ in range(20):
        await asyncio.sleep(0)


@asynccontextmanager
async def started(*jobs: Coroutine[Any, Any, Permit]) -> AsyncIterator[list[asyncio.Task[Permit]]]:
    """The jobs as tasks that have run until they wait; cancelled at the end."""
    tasks = [asyncio.create_task(job) for job in jobs]
    await settled()
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def through(tasks: list[asyncio.Task[Permit]]) -> list[Permit]:
    """The permits of those that were let through."""
    return [task.result() for task in tasks if task.done() and not task.cancelled()]


@pytest.fixture
async def world() -> World:
    return World()


async def test_while_closed_nobody_waits(world: World) -> None:
    permits = [await world.gate.admitted() for _ in range(100)]
    for permit in permits:
        world.gate.succeeded(permit)

    assert not any(permit.probe for permit in permits)
    assert not world.gate.is_open
    assert not world.gate.waiting
    assert world.alarms == []


async def test_at_the_time_of_the_probe_exactly_one_of_the_waiters_is_let_through(world: World) -> None:
    world.open()

    async with started(*(world.gate.admitted() for _ in range(5))) as waiters:
        await world.pass_seconds(0.5)
        too_early = through(waiters)
        await world.pass_seconds(0.5)
        in_time = through(waiters)

    assert too_early == []
    assert [permit.probe for permit in in_time] == [True]


async def test_when_the_probe_succeeds_everybody_is_let_through(world: World) -> None:
    world.open()

    async with started(*(world.gate.admitted() for _ in range(5))) as waiters:
        await world.pass_seconds(1)
        [probe] = through(waiters)
        world.gate.succeeded(probe)
        await settled()
        permits = through(waiters)

    assert sorted(permit.probe for permit in permits) == [False] * 4 + [True]
    assert not world.gate.waiting


async def test_when_the_probe_fails_the_others_wait_for_the_next(world: World) -> None:
    world.open()

    async with started(*(world.gate.admitted() for _ in range(3))) as waiters:
        await world.pass_seconds(1)
        world.gate.failed(through(waiters)[0])
        await world.pass_seconds(1.9)
        before = len(through(waiters))
        await world.pass_seconds(0.1)
        after = len(through(waiters))

    assert (before, after) == (1, 2)


async def test_a_released_probe_passes_its_turn_to_the_next_waiter_at_once(world: World) -> None:
    world.open()

    async with started(*(world.gate.admitted() for _ in range(3))) as waiters:
        await world.pass_seconds(1)
        world.gate.released(through(waiters)[0])
        await settled()
        permits = through(waiters)

    assert [permit.probe for permit in permits] == [True, True]


async def test_a_probe_that_is_lost_does_not_block_the_others_for_ever(world: World) -> None:
    world.open()

    async with started(*(world.gate.admitted() for _ in range(2))) as waiters:
        await world.pass_seconds(1)
        before = len(through(waiters))
        await world.pass_seconds(30)
        after = len(through(waiters))

    assert (before, after) == (1, 2)


async def test_a_waiter_cancelled_in_the_moment_it_is_woken_leaves_the_probe_to_another(world: World) -> None:
    world.open()

    async with started(*(world.gate.admitted() for _ in range(3))) as waiters:
        world.now += 1
        world.gate.tick()
        waiters[0].cancel()
        await settled()
        permits = through(waiters)

    assert waiters[0].cancelled()
    assert [permit.probe for permit in permits] == [True]


async def test_waiters_that_are_cancelled_are_not_counted(world: World) -> None:
    world.open()

    async with started(world.gate.admitted(), world.gate.admitted()) as waiters:
        waiting_with_two = world.gate.waiting
        waiters[0].cancel()
        await settled()
        waiting_with_one = world.gate.waiting
        waiters[1].cancel()
        await settled()
        waiting_with_none = world.gate.waiting

    assert (waiting_with_two, waiting_with_one, waiting_with_none) == (True, True, False)


async def test_after_all_waiters_are_cancelled_the_next_caller_gets_the_probe(world: World) -> None:
    world.open()
    async with started(world.gate.admitted()):
        pass

    await world.pass_seconds(60)
    permit = await world.gate.admitted()
    world.gate.succeeded(permit)

    assert permit.probe
    assert not world.gate.is_open


async def test_when_nobody_waits_the_idle_one_probes_so_that_recovery_needs_no_traffic(world: World) -> None:
    async with started(world.gate.idle_probe()) as idle:
        await world.pass_seconds(100)
        while_closed = through(idle)
        world.open()
        await world.pass_seconds(0.9)
        too_early = through(idle)
        await world.pass_seconds(0.1)
        [permit] = through(idle)
        world.gate.succeeded(permit)

    assert while_closed == too_early == []
    assert not world.gate.is_open


async def test_a_task_with_a_call_to_make_goes_before_the_idle_one(world: World) -> None:
    world.open()

    async with started(world.gate.idle_probe(), world.gate.admitted()) as (idle, waiter):
        await world.pass_seconds(1)
        first = (idle.done(), waiter.done())
        world.gate.failed(waiter.result())
        await world.pass_seconds(2)
        second = idle.done()

    assert first == (False, True)
    assert second


async def test_the_idle_one_takes_over_when_the_last_waiter_is_cancelled_as_it_is_woken(world: World) -> None:
    world.open()

    async with started(world.gate.idle_probe(), world.gate.admitted()) as (idle, waiter):
        world.now += 1
        world.gate.tick()
        waiter.cancel()
        await settled()
        taken = idle.done()

    assert taken


async def test_nothing_turns_over_while_a_probe_is_due_that_nobody_takes(world: World) -> None:
    world.open()

    await world.pass_seconds(1)

    assert world.pending == []
    assert world.gate.is_open


async def test_a_timer_that_rings_too_early_is_set_again(world: World) -> None:
    world.open()
    [early] = world.pending

    world.now += 0.75
    early.callback()

    assert [alarm.at for alarm in world.pending] == [1001.0]


async def test_closing_takes_the_timer_back(world: World) -> None:
    world.open()
    await world.pass_seconds(1)

    world.gate.succeeded(world.permit())

    assert world.pending == []


async def test_listeners_hear_of_each_opening_and_closing_but_not_of_failed_probes(world: World) -> None:
    world.open()
    await world.pass_seconds(1)
    world.gate.failed(world.permit())
    await world.pass_seconds(2)
    world.gate.succeeded(world.permit())
    world.open()
    await settled()

    assert world.changes == ["opened", "closed", "opened"]


async def test_a_listener_that_has_stopped_hears_nothing_more(world: World) -> None:
    world.open()
    world.stop_listening()
    world.stop_listening()
    await settled()

    assert world.changes == []


async def test_a_listener_that_fails_harms_neither_the_call_nor_the_other_listeners(world: World) -> None:
    failures: list[BaseException | None] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: failures.append(context.get("exception"))
    )
    heard: list[str] = []
    world.gate.listen(opened=[].pop, closed=lambda: None)
    world.gate.listen(opened=lambda: heard.append("opened"), closed=lambda: heard.append("closed"))

    world.open()
    await settled()

    assert heard == ["opened"]
    assert [type(failure) for failure in failures] == [IndexError]


async def test_a_listener_may_call_the_gate_and_add_listeners(world: World) -> None:
    found: list[Permit | None] = []

    def opened() -> None:
        found.append(world.gate.try_admitted())
        world.gate.listen(opened=lambda: found.append(None), closed=lambda: None)

    world.gate.listen(opened=opened, closed=lambda: None)

    world.open()
    await settled()

    assert found == [None]


async def test_on_the_clock_of_the_machine_a_waiter_is_let_through_by_the_loops_own_timer() -> None:
    policy = BreakerPolicy(minimum_calls=1, probe_interval_seconds=0.01)
    gate = SinkGate(CircuitBreaker(policy, time.monotonic))
    gate.failed(await gate.admitted())

    async with asyncio.timeout(10):
        probe = await gate.admitted()

    assert probe.probe
