"""The same job written plainly, as a competent team would in an afternoon: what EventBridge is held against.

aiokafka's `getmany`, a pydantic model, one pipeline per batch with XADD and PUBLISH, a commit after each
batch. All clients with their defaults but for the size of a poll, which is ours. It gives none of the
guarantees: a crash or a lost reply doubles events, a failover of Redis loses them, and there are no
numbers, traces, dead letters or breaker.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import re
import signal
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaConsumer
from pydantic import BaseModel, ConfigDict, ValidationError
from redis.asyncio import Redis

POLL_RECORDS = 2000
STREAM_MAX_LENGTH = 1000

ALLOWED = re.compile(
    r"Genesis\.Session\.(Started|StageCompleted|Finished|Failed|[\w.-]+\.(Proposed|Confirmed|Updated))"
)

log = logging.getLogger(__name__)


class Payload(BaseModel):
    """What of the payload is looked at."""

    model_config = ConfigDict(frozen=True)

    user_id: UUID
    session_id: UUID
    timestamp: datetime
    novel_id: UUID | None = None
    content: Any = None


class Metadata(BaseModel):
    """What of the metadata is carried on."""

    model_config = ConfigDict(frozen=True)

    trace_id: str | None = None


class Envelope(BaseModel):
    """A domain event."""

    model_config = ConfigDict(frozen=True)

    event_id: UUID
    event_type: str
    aggregate_id: UUID
    correlation_id: UUID
    metadata: Metadata | None = None
    payload: Payload


class Message(BaseModel):
    """What a page receives."""

    event_id: UUID
    event_type: str
    session_id: UUID
    novel_id: UUID | None
    correlation_id: UUID
    trace_id: str | None
    timestamp: datetime
    payload: Any
    scope: str = "user"
    version: str = "1.0"


def message_of(envelope: Envelope) -> str:
    """Return the JSON for the page."""
    payload = envelope.payload
    return Message(
        event_id=envelope.event_id,
        event_type=envelope.event_type,
        session_id=payload.session_id,
        novel_id=payload.novel_id,
        correlation_id=envelope.correlation_id,
        trace_id=envelope.metadata.trace_id if envelope.metadata else None,
        timestamp=payload.timestamp,
        payload=payload.content,
    ).model_dump_json(exclude_none=True)


async def relay(bootstrap: str, topic: str, group: str, redis_url: str) -> None:
    """Carry events until cancelled."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    rejected = 0
    async with Redis.from_url(redis_url) as redis, consumer:
        while True:
            polled = await consumer.getmany(timeout_ms=500, max_records=POLL_RECORDS)
            if not polled:
                continue
            async with redis.pipeline(transaction=False) as pipeline:
                for records in polled.values():
                    for record in records:
                        try:
                            envelope = Envelope.model_validate_json(record.value or b"")
                        except ValidationError:
                            rejected += 1
                            continue
                        if ALLOWED.fullmatch(envelope.event_type) is None:
                            continue
                        data = message_of(envelope)
                        user = envelope.payload.user_id
                        pipeline.xadd(
                            f"events:{user}",
                            {"event": envelope.event_type, "data": data},
                            maxlen=STREAM_MAX_LENGTH,
                            approximate=True,
                        )
                        pipeline.publish(f"live:{user}", data)
                await pipeline.execute()
            await consumer.commit()
            log.debug("rejected so far: %d", rejected)


async def main(bootstrap: str, topic: str, group: str, redis_url: str) -> None:
    """Carry events until asked to stop."""
    task = asyncio.create_task(relay(bootstrap, topic, group, redis_url))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()


def fastest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop that EventBridge takes, too: uvloop's where it is installed."""
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("bootstrap", "topic", "group", "redis_url"):
        parser.add_argument(name)
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        runner.run(main(**vars(parser.parse_args())))
