"""`eventbridge run`, but for a sink and a source that kill the process at a named point.

`python -m tests.integration.faults.mortal_bridge POINT COUNT`: dies when it comes to the point for the
COUNT-th time. Points: `before` or `after` one of `positions`, `initialisation`, `append`, `checkpoint`,
`commit`, `refusal`; and `between appends`: of the calls of one batch one was answered, the next was not sent.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from dependency_injector import providers

from eventbridge.adapters.kafka.event_source import KafkaEventSource
from eventbridge.adapters.redis.sse_service import RedisSSEService
from eventbridge.application.ports import Commit
from eventbridge.domain.delivery import Answer, Bad, Batch, Partition, ShardPosition
from eventbridge.entrypoints.container import Container
from eventbridge.entrypoints.run import carry
from eventbridge.entrypoints.telemetry import configure_logging
from tests.integration.faults.bridges import make_container


class Fate:
    """Knows where the process is to die."""

    def __init__(self, point: str, count: int) -> None:
        self.point = point
        self._count = count

    def at(self, point: str) -> None:
        """Die here, if this is the point and the time has come."""
        if point == self.point:
            self._count -= 1
            if self._count == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class MortalSink(RedisSSEService):
    """The sink, with the points around its calls."""

    def __init__(self, fate: Fate, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._fate = fate
        self._one_by_one = asyncio.Lock()
        self._answered_upto: dict[Partition, int] = {}

    async def positions(self, partitions: Sequence[Partition]) -> Mapping[Partition, Sequence[ShardPosition]]:
        self._fate.at("before positions")
        found = await super().positions(partitions)
        self._fate.at("after positions")
        return found

    async def apply(self, batch: Batch) -> Sequence[Answer]:
        kind = _kind(batch)
        if kind == "append" and self._fate.point == "between appends":
            return await self._append_one_by_one(batch)
        self._fate.at(f"before {kind}")
        answers = await super().apply(batch)
        if isinstance(answers[0] if answers else None, Bad):
            self._fate.at("after refusal")
        self._fate.at(f"after {kind}")
        return answers

    async def _append_one_by_one(self, batch: Batch) -> Sequence[Answer]:
        async with self._one_by_one:
            (mark,) = batch.marks
            if self._answered_upto.get(mark.partition) == mark.upto:
                self._fate.at("between appends")
            answers = await super().apply(batch)
            self._answered_upto[mark.partition] = mark.upto
            return answers


def _kind(batch: Batch) -> str:
    if batch.entries:
        return "append"
    return "initialisation" if batch.marks and batch.marks[0].previous is None else "checkpoint"


class MortalSource(KafkaEventSource):
    """The source, with the points around commits."""

    def __init__(self, fate: Fate, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._fate = fate

    async def commit(self, commits: Mapping[Partition, Commit]) -> None:
        self._fate.at("before commit")
        await super().commit(commits)
        self._fate.at("after commit")


def mortal(container: Container, fate: Fate) -> Container:
    """The container, with both in place of its own."""

    async def sink() -> AsyncIterator[MortalSink]:
        async with MortalSink(fate, container.redis_settings(), container.settings().source) as opened:
            yield opened

    container.sink.override(providers.Resource(sink))
    container.source.override(providers.Object(MortalSource(fate, container.kafka_clients())))
    return container


async def main(point: str, count: str) -> None:
    """Run until killed, by itself or by others."""
    configure_logging("info", "json")
    await carry(mortal(make_container(_own_settings()), Fate(point, int(count))))


def _own_settings() -> Mapping[str, str]:
    prefix = "EVENTBRIDGE__"
    return {name.removeprefix(prefix): text for name, text in os.environ.items() if name.startswith(prefix)}


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
