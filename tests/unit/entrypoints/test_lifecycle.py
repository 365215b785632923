"""Waiting for servers at the start, and what probes are told meanwhile."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from eventbridge.adapters.memory.clock import ManualClock
from eventbridge.application.errors import SinkMisconfigured, SinkUnavailable, SourceUnavailable
from eventbridge.application.health import Check, HealthReport
from eventbridge.entrypoints.lifecycle import Lifecycle, StartAbandoned


class Server:
    """Fails in the given ways, one after the other, then answers."""

    def __init__(self, *failures: Exception) -> None:
        self._failures = list(failures)
        self.asked = asyncio.Event()
        self.attempts = 0

    async def answer(self) -> str:
        self.attempts += 1
        self.asked.set()
        if self._failures:
            raise self._failures.pop(0)
        return "here"


class AbsentServer:
    """Never answers well."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def answer(self) -> None:
        self.asked.set()
        raise SourceUnavailable("connection refused")


async def test_an_absent_server_is_asked_until_it_answers() -> None:
    server = Server(SinkUnavailable("connection"), SourceUnavailable("away"))

    answer = await Lifecycle(ManualClock()).wait_for("Redis at r:1", server.answer)

    assert answer == "here"
    assert server.attempts == 3


async def test_what_no_waiting_mends_ends_the_start() -> None:
    server = Server(SinkMisconfigured("layout", "3 shards"))

    with pytest.raises(SinkMisconfigured, match="3 shards"):
        await Lifecycle(ManualClock()).wait_for("Redis at r:1", server.answer)

    assert server.attempts == 1


async def test_an_error_that_is_not_the_servers_ends_the_start() -> None:
    server = Server(ValueError("a bug"))

    with pytest.raises(ValueError, match="a bug"):
        await Lifecycle(ManualClock()).wait_for("Redis at r:1", server.answer)


class Lines(logging.Handler):
    """Hands lines to a test as they are written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.written.put_nowait(record.getMessage())


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, log = Lines(), logging.getLogger("eventbridge.entrypoints.lifecycle")
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)


async def test_the_wait_is_told_again_and_again_with_server_time_and_reason(lines: Lines) -> None:
    clock, server = ManualClock(), AbsentServer()
    lifecycle = Lifecycle(clock, progress_seconds=0.001)
    waiting = asyncio.create_task(lifecycle.wait_for("Kafka at k:9092", server.answer))

    told = await lines.written.get()
    clock.advance(12)
    while told.startswith("waiting for Kafka at k:9092 (0 s)"):
        told = await lines.written.get()
    again = await lines.written.get()
    lifecycle.stopping()
    with pytest.raises(StartAbandoned):
        await waiting

    assert told == "waiting for Kafka at k:9092 (12 s): the source does not answer: connection refused"
    assert again == told


async def test_an_answer_after_a_wait_is_told(lines: Lines, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "eventbridge.entrypoints.lifecycle")
    server = Server(SinkUnavailable("connection"))

    await Lifecycle(ManualClock()).wait_for("Redis at r:1", server.answer)

    assert (await lines.written.get()).startswith("waiting for Redis at r:1 (0 s)")
    assert await lines.written.get() == "Redis at r:1 answers after 0 s"


async def test_probes_are_told_what_is_waited_for() -> None:
    clock, server = ManualClock(), AbsentServer()
    lifecycle = Lifecycle(clock)
    waiting = asyncio.create_task(lifecycle.wait_for("Kafka at k:9092", server.answer))
    await server.asked.wait()
    clock.advance(7)

    report = lifecycle.health()

    assert (report.live, report.ready) == (True, False)
    assert report.checks[0].detail.startswith("waiting for Kafka at k:9092 (7 s)")
    lifecycle.stopping()
    with pytest.raises(StartAbandoned):
        await waiting


async def test_a_start_that_is_cancelled_leaves_no_task_behind() -> None:
    server = AbsentServer()
    lifecycle = Lifecycle(ManualClock())
    waiting = asyncio.create_task(lifecycle.wait_for("Kafka at k:9092", server.answer))
    await server.asked.wait()

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0)

    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert lifecycle.health().checks == (Check("start", False, "starting"),)


async def test_a_resource_that_fails_its_check_makes_a_running_bridge_not_ready() -> None:
    lifecycle = Lifecycle(ManualClock())
    checks = [Check("kafka", True, "answers"), Check("kafka", False, "is silent")]
    lifecycle.watch(lambda: checks[0])
    starting = lifecycle.health()
    lifecycle.running(lambda: HealthReport(live=True, ready=True))

    good = lifecycle.health()
    checks.pop(0)
    bad = lifecycle.health()

    assert starting.checks == (Check("start", False, "starting"),)
    assert (good.ready, good.checks) == (True, (Check("kafka", True, "answers"),))
    assert (bad.live, bad.ready, bad.checks) == (True, False, (Check("kafka", False, "is silent"),))


async def test_the_bridge_itself_is_asked_once_it_runs() -> None:
    lifecycle = Lifecycle(ManualClock())
    healthy = HealthReport(live=True, ready=True, checks=(Check("sink", True, "takes calls"),))
    before = lifecycle.health()
    lifecycle.running(lambda: healthy)
    running = lifecycle.health()
    lifecycle.stopping()
    stopping = lifecycle.health()

    assert (before.live, before.ready) == (True, False)
    assert running == healthy
    assert (stopping.live, stopping.ready) == (True, False)
