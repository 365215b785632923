"""A ceiling: the same client reads the same records and does nothing with them. Prints what it took."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time

from aiokafka import AIOKafkaConsumer

from benchmarks.plain_relay import POLL_RECORDS, fastest_loop


async def consume(bootstrap: str, topic: str, count: int) -> dict[str, float]:
    """Read `count` records; answers records per second and CPU microseconds per record, both from the first
    poll on that gave something."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest"
    )
    taken = first = 0
    started = used = 0.0
    async with consumer:
        while taken < count:
            polled = await consumer.getmany(timeout_ms=500, max_records=POLL_RECORDS)
            taken += sum(map(len, polled.values()))
            if polled and not first:
                first, started, used = taken, time.monotonic(), _cpu()
        seconds, cpu = time.monotonic() - started, _cpu() - used
    return {"rate": (taken - first) / seconds, "cpu_us": cpu * 1e6 / (taken - first)}


def _cpu() -> float:
    times = os.times()
    return times.user + times.system


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap")
    parser.add_argument("topic")
    parser.add_argument("count", type=int)
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        print(json.dumps(runner.run(consume(**vars(parser.parse_args())))))
