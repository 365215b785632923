"""Raise the watermarks of quiet shards, find rollbacks where nothing else would, commit to the source."""

import asyncio
import itertools
import logging
from collections.abc import Collection, Mapping, Sequence
from functools import partial

from ..domain.assignment import Halt, HaltReason
from ..domain.delivery import Answer, Batch, Commit, Mark, Partition
from .cause_log import CauseLog
from .errors import CircuitOpen, NotAssigned, SinkMisconfigured, SourceMisconfigured, SourceUnavailable
from .partition_run import PartitionRun
from .ports import Clock, EventSink, EventSource, Telemetry
from .publisher import Publisher

_Question = tuple[PartitionRun, int, Mark]
"""A run, its number when it was asked, and how far it may be."""

COMMIT_LIMIT_SECONDS = 10.0
"""A commit that takes longer counts as failed: it is a hint for us, not the truth."""


class Checkpoints:
    """Checkpoints and commits of the runs that are under way."""

    def __init__(
        self,
        *,
        source: EventSource,
        sink: EventSink,
        publisher: Publisher,
        telemetry: Telemetry,
        clock: Clock,
        causes: CauseLog,
        checkpoint_seconds: float = 2,
        commit_seconds: float = 2,
        commit_records: int = 1000,
    ) -> None:
        self._source = source
        self._sink = sink
        self._publisher = publisher
        self._telemetry = telemetry
        self._clock = clock
        self._causes = causes
        self._checkpoint_seconds = checkpoint_seconds
        self._commit_seconds = commit_seconds
        self._commit_records = commit_records
        self._runs: dict[Partition, PartitionRun] = {}
        self._committed: dict[Partition, Commit] = {}
        self._records_at_commit = 0
        self._committing = asyncio.Lock()

    def add(self, run: PartitionRun) -> None:
        """Checkpoint and commit this run from now on."""
        self._runs[run.partition] = run

    def remove(self, run: PartitionRun) -> None:
        """This run is no more; nothing more is committed for it."""
        if self._runs.get(run.partition) is run:
            del self._runs[run.partition]
            self._committed.pop(run.partition, None)
            self._records_at_commit -= run.records_applied

    async def checkpoint_forever(self) -> None:
        """Checkpoint every `checkpoint_seconds`, traffic or not."""
        while True:
            await asyncio.sleep(self._checkpoint_seconds)
            try:
                await self.checkpoint(self._runs.values())
            except CircuitOpen:
                continue
            except SinkMisconfigured as error:
                self._halt(error)
            finally:
                for run in self._runs.values():
                    run.announce_passed()
                self._causes.flush()

    async def commit_forever(self) -> None:
        """Commit every `commit_seconds`, or as soon as `commit_records` records were applied since."""
        pause = min(self._commit_seconds, 0.05)
        last = self._clock.monotonic()
        while True:
            await asyncio.sleep(pause)
            due = self._clock.monotonic() - last >= self._commit_seconds
            if due or self._applied() - self._records_at_commit >= self._commit_records:
                last = self._clock.monotonic()
                await self.commit(self._runs.values())

    async def probe_forever(self) -> None:
        """While the circuit is open and nobody has a batch to try, try a checkpoint: it closes by itself."""
        for shard in itertools.cycle(range(self._publisher.shards)):
            try:
                await self._publisher.probe(partial(self._probe, shard))
            except SinkMisconfigured as error:
                self._halt(error)
                await asyncio.sleep(self._checkpoint_seconds)

    def _halt(self, error: SinkMisconfigured) -> None:
        for run in self._runs.values():
            run.halt(Halt(HaltReason.SINK_MISCONFIGURED, str(error)))

    async def checkpoint(self, runs: Collection[PartitionRun]) -> None:
        """One call per shard, with the marks of all these runs. Raises `CircuitOpen`, `SinkMisconfigured`."""
        if not runs:
            return
        for shard in range(self._publisher.shards):
            asked = _ask(runs, shard)
            self._hear(shard, asked, await self._publisher.publish_batch(_batch(shard, asked)))

    async def _probe(self, shard: int) -> None:
        if not self._runs:
            await self._sink.positions(())
            return
        asked = _ask(self._runs.values(), shard)
        self._hear(shard, asked, await self._sink.apply(_batch(shard, asked)))

    def _hear(self, shard: int, asked: Sequence[_Question], answers: Sequence[Answer]) -> None:
        for (run, number, _), answer in zip(asked, answers, strict=True):
            run.take(run.ledger.checkpointed(number, shard, answer))

    async def commit(self, runs: Collection[PartitionRun]) -> None:
        """Commit what every shard has, where that changed; a failure costs a filtered replay."""
        async with self._committing:
            self._records_at_commit = self._applied()
            wanted = {run.partition: run.opened.commit() for run in runs}
            news = {p: commit for p, commit in wanted.items() if self._committed.get(p) != commit}
            if news:
                await self._commit(news)

    async def _commit(self, commits: Mapping[Partition, Commit]) -> None:
        try:
            async with asyncio.timeout(COMMIT_LIMIT_SECONDS):
                await self._source.commit(commits)
        except (SourceUnavailable, SourceMisconfigured, NotAssigned, TimeoutError) as error:
            self._causes.say("commit", logging.WARNING, f"not committed, tried again: {error}")
        else:
            self._telemetry.committed()
            self._committed.update((p, c) for p, c in commits.items() if p in self._runs)

    def _applied(self) -> int:
        return sum(run.records_applied for run in self._runs.values())


def _ask(runs: Collection[PartitionRun], shard: int) -> Sequence[_Question]:
    return [(run, run.ledger.run, run.ledger.checkpoint(shard)) for run in runs]


def _batch(shard: int, asked: Sequence[_Question]) -> Batch:
    return Batch(shard, tuple(mark for _, _, mark in asked))
