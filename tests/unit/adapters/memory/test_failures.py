"""What tests can make the in-memory adapters do, and their clocks."""

import asyncio
import time

import pytest

from eventbridge.adapters.memory import (
    ManualClock,
    MemoryDeadLetters,
    MemoryEventSink,
    MemoryEventSource,
    MemoryLog,
)
from eventbridge.adapters.system_clock import SystemClock
from eventbridge.application.errors import (
    DeadLettersUnavailable,
    PartitionPoisoned,
    SinkMisconfigured,
    SinkUnavailable,
    SourceMisconfigured,
    SourceUnavailable,
)
from eventbridge.application.ports import LogBounds
from eventbridge.domain.delivery import Batch, Entry, Mark, Partition
from eventbridge.domain.message import SSEMessage
from eventbridge.domain.routing import shard_of, user
from eventbridge.testing import RecordingListener

ORDERS = Partition("orders", 0)
ALICE = user("alice")
MESSAGE = SSEMessage(event="e", data=b"{}")


async def started(log: MemoryLog) -> tuple[MemoryEventSource, RecordingListener]:
    source, listener = MemoryEventSource(log, ["orders"]), RecordingListener()
    await source.start(listener)
    await listener.until(bool)
    for partition in listener.partitions:
        source.seek(partition, 0)
    return source, listener


async def test_a_sink_that_is_down_writes_nothing() -> None:
    sink = MemoryEventSink()
    sink.down = True

    with pytest.raises(SinkUnavailable):
        await sink.publish_event("alice", MESSAGE)
    with pytest.raises(SinkUnavailable):
        await sink.positions([ORDERS])
    sink.down = False

    assert sink.streams() == {}


async def test_a_sink_fails_as_often_and_as_it_was_told() -> None:
    sink = MemoryEventSink()
    sink.fail_next(times=2)
    sink.fail_next(SinkMisconfigured("denied"))

    for error, reason in [
        (SinkUnavailable, "connection"),
        (SinkUnavailable, "connection"),
        (SinkMisconfigured, "denied"),
    ]:
        with pytest.raises(error, match=reason):
            await sink.publish_event("alice", MESSAGE)
    await sink.publish_event("alice", MESSAGE)

    assert len(sink.stream(ALICE)) == 1


async def test_a_lost_reply_leaves_the_work_done() -> None:
    sink = MemoryEventSink()
    shard = shard_of(ALICE.id, sink.shards)
    await sink.apply(Batch(shard, (Mark(ORDERS, None, -1),)))
    entry = Entry(offset=0, target=ALICE, event="e", data=b"{}", timestamp=0)
    sink.lose_next_reply()

    with pytest.raises(SinkUnavailable, match="timeout"):
        await sink.apply(Batch(shard, (Mark(ORDERS, -1, 0),), (entry,)))

    assert len(sink.stream(ALICE)) == 1
    assert [batch.shard for batch in sink.calls] == [shard, shard]


async def test_a_shard_is_rolled_back_by_itself() -> None:
    sink = MemoryEventSink()
    shard = shard_of(ALICE.id, sink.shards)
    await sink.publish_event("alice", MESSAGE)
    before = sink.snapshot(shard)
    await sink.publish_event("alice", MESSAGE)

    sink.restore(shard, before)

    assert len(sink.stream(ALICE)) == 1
    sink.restore(shard)
    assert sink.streams() == {}


async def test_dead_letters_that_are_down_keep_nothing() -> None:
    letters = MemoryDeadLetters()
    letters.down = True

    with pytest.raises(DeadLettersUnavailable):
        await letters.keep([])


async def test_a_log_that_goes_down_ends_the_polls_that_wait() -> None:
    log = MemoryLog({"orders": 1})
    source, _ = await started(log)
    waiting = asyncio.create_task(source.poll(ORDERS, 1, 60))

    log.down = True

    with pytest.raises(SourceUnavailable):
        await waiting
    with pytest.raises(SourceUnavailable):
        await MemoryEventSource(log, ["orders"]).start(RecordingListener())
    await source.stop()


async def test_reads_up_to_a_poisoned_offset_and_again_once_it_was_passed() -> None:
    log = MemoryLog({"orders": 1})
    log.extend(ORDERS, [b"0", b"1", b"2", b"3"])
    log.poison(ORDERS, 2)
    source, _ = await started(log)

    before = await source.poll(ORDERS, 10, 1)
    with pytest.raises(PartitionPoisoned) as poisoned:
        await source.poll(ORDERS, 10, 1)
    source.seek(ORDERS, 3)
    after = await source.poll(ORDERS, 10, 1)
    await source.stop()

    assert [each.value for each in before.records] == [b"0", b"1"]
    assert (poisoned.value.partition, poisoned.value.offset) == (ORDERS, 2)
    assert [each.value for each in after.records] == [b"3"]


async def test_retention_moves_the_start_and_a_recreated_topic_begins_anew() -> None:
    log = MemoryLog({"orders": 1})
    log.extend(ORDERS, [b"0", b"1", b"2"])

    log.trim(ORDERS, 2)
    trimmed = log.bounds(ORDERS), log.log(ORDERS).timestamp_at(1), log.log(ORDERS).timestamp_at(2)
    log.recreate("orders")

    assert trimmed == (LogBounds(start=2, end=3), None, 2)
    assert log.bounds(ORDERS) == LogBounds(start=0, end=0)


async def test_records_may_lie_at_chosen_offsets_but_never_before_the_end() -> None:
    log = MemoryLog({"orders": 1})

    log.append(ORDERS, b"late", offset=7)
    with pytest.raises(ValueError, match="ends at 8"):
        log.append(ORDERS, b"early", offset=3)

    assert log.bounds(ORDERS).end == 8


async def test_a_new_partition_is_told_to_who_reads_the_topic() -> None:
    log = MemoryLog({"orders": 1})
    source, listener = await started(log)

    log.create("orders", partitions=2)
    partitions = await listener.until(lambda partitions: len(partitions) == 2)
    await source.stop()

    assert partitions == {ORDERS, Partition("orders", 1)}


async def test_a_topic_that_is_not_there_is_refused() -> None:
    with pytest.raises(SourceMisconfigured, match="unknown_topic"):
        await MemoryEventSource(MemoryLog({"orders": 1}), ["other"]).start(RecordingListener())


async def test_a_listener_that_fails_keeps_nobody_from_the_partitions(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(_: object) -> None:
        raise RuntimeError("cannot let go")

    log = MemoryLog({"orders": 2})
    first, second = MemoryEventSource(log, ["orders"]), MemoryEventSource(log, ["orders"])
    failing, listener = RecordingListener(on_revoked=fail), RecordingListener()
    await first.start(failing)
    await failing.until(bool)

    await second.start(listener)
    partitions = await listener.until(bool)
    await first.stop()
    await second.stop()

    assert len(partitions) == 1
    assert "the listener failed" in caplog.text


def test_a_manual_clock_goes_on_when_told_to() -> None:
    clock = ManualClock(now_ms=1000)

    clock.advance(2.5)
    clock.jump(-1)

    assert (clock.monotonic(), clock.now_ms()) == (2.5, 2500)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)


def test_the_system_clock_tells_the_machine_s_time() -> None:
    clock = SystemClock()
    before, wall = time.monotonic(), time.time_ns() // 1_000_000

    told = clock.monotonic(), clock.now_ms()

    assert before <= told[0] <= time.monotonic()
    assert wall <= told[1] <= time.time_ns() // 1_000_000 + 1
