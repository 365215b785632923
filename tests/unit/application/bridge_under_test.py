"""A bridge between a log and a sink in memory, and what its tests ask of it."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from eventbridge.adapters.memory import MemoryDeadLetters, MemoryEventSink, MemoryEventSource, MemoryLog
from eventbridge.adapters.system_clock import SystemClock
from eventbridge.application.event_bridge import BridgeSettings, DomainEventBridgeService
from eventbridge.application.ports import Clock
from eventbridge.application.sink_gate import SinkGate
from eventbridge.domain.assignment import AssignmentPolicy
from eventbridge.domain.circuit_breaker import BreakerPolicy, CircuitBreaker
from eventbridge.domain.delivery import Partition
from eventbridge.domain.event_filter import EventFilter

from ..domain.envelopes import encoded, genesis

TOPIC = "genesis.session.events"
USERS = tuple(str(uuid.UUID(int=n)) for n in range(1, 6))


class CountingTelemetry:
    """The `Telemetry` port as numbers that a test can read."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.circuits: list[str] = []
        self.halts: dict[Partition, str | None] = {}
        self.lags: dict[Partition, int | None] = {}

    def consumed(self, topic: str, count: int) -> None:
        self.counts["consumed"] += count

    def filtered(self, count: int) -> None:
        self.counts["filtered"] += count

    def rejected(self, reason: str, count: int) -> None:
        self.counts[f"rejected:{reason}"] += count

    def published(self, appended: int, duplicates: int, timestamps: Sequence[int], now_ms: int) -> None:
        self.counts["published"] += appended
        self.counts["duplicates"] += duplicates

    def dropped(self, reason: str, count: int) -> None:
        self.counts[f"dropped:{reason}"] += count

    def publish_took(self, seconds: float) -> None:
        self.counts["calls"] += 1

    def publish_failed(self, reason: str) -> None:
        self.counts[f"failed:{reason}"] += 1

    def committed(self) -> None:
        self.counts["commits"] += 1

    def rebalanced(self) -> None:
        self.counts["rebalances"] += 1

    def circuit(self, state: str, failure_ratio: float) -> None:
        self.circuits.append(state)

    def halted(self, partition: Partition, reason: str | None) -> None:
        self.halts[partition] = reason

    def lag(self, partition: Partition, records: int | None) -> None:
        self.lags[partition] = records


class BridgeUnderTest:
    """One bridge, its surroundings, and the oracle."""

    def __init__(
        self,
        *,
        log: MemoryLog | None = None,
        sink: MemoryEventSink | None = None,
        partitions: int = 2,
        policy: AssignmentPolicy | None = None,
        clock: Clock | None = None,
        **settings: Any,
    ) -> None:
        self.log = log or MemoryLog({TOPIC: partitions})
        self.sink = sink or MemoryEventSink(shards=4)
        self.dead_letters = MemoryDeadLetters()
        self.source = MemoryEventSource(self.log, [TOPIC])
        self.telemetry = CountingTelemetry()
        clock = clock or SystemClock()
        breaker = CircuitBreaker(
            BreakerPolicy(
                window_seconds=0.5,
                minimum_calls=1,  # without traffic calls that fail are tried again less often than that
                probe_interval_seconds=0.05,
                probe_interval_max_seconds=0.1,
            ),
            clock.monotonic,
            on_change=lambda _, after: self.telemetry.circuits.append(after.value),
        )
        self.gate = SinkGate(breaker)
        fast: dict[str, Any] = {
            "checkpoint_seconds": 0.05,
            "commit_interval_seconds": 0.05,
            "halt_retry_seconds": 0.1,
        }
        self.bridge = DomainEventBridgeService(
            source=self.source,
            sink=self.sink,
            event_filter=EventFilter(),
            gate=self.gate,
            telemetry=self.telemetry,
            clock=clock,
            dead_letters=self.dead_letters,
            settings=BridgeSettings(policy=policy or AssignmentPolicy(), **(fast | settings)),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator["BridgeUnderTest"]:
        """Run the bridge in the block, stop it at the end."""
        task = asyncio.create_task(self.bridge.run())
        try:
            yield self
        finally:
            self.bridge.stop()
            await task

    @asynccontextmanager
    async def crashing(self) -> AsyncIterator["BridgeUnderTest"]:
        """Run the bridge in the block, and let it vanish at the end: nothing more is told to anyone."""
        task = asyncio.create_task(self.bridge.run())
        try:
            yield self
        finally:
            self.log.down = True
            self.sink.down = True
            task.cancel()
            await asyncio.wait([task])
            self.log.down = False
            self.sink.down = False

    def produce(self, count: int, partition: int = 0, **changes: Any) -> None:
        """Append events for the users in turn."""
        for n in range(count):
            event = genesis({"user_id": USERS[n % len(USERS)]}, event_id=str(uuid.uuid4()), **changes)
            self.log.append(Partition(TOPIC, partition), encoded(event))

    def produce_raw(self, value: bytes | None, partition: int = 0) -> int:
        """Append a record as it is."""
        return self.log.append(Partition(TOPIC, partition), value)

    def streams(self) -> Mapping[str, list[tuple[int, int]]]:
        """By user the (partition, offset) of what is in the stream, in its order."""
        return {
            target.id: [(entry.source[0].number, entry.source[1]) for entry in entries if entry.source]
            for target, entries in self.sink.streams().items()
        }

    def applied(self) -> list[tuple[int, int]]:
        """All that is in any stream, sorted by partition and offset."""
        return sorted(place for places in self.streams().values() for place in places)

    def committed(self, partition: int = 0) -> int | None:
        """The group's commit."""
        commit = self.log.group("event-bridge").commits.get(Partition(TOPIC, partition))
        return commit.offset if commit else None


async def eventually(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until the condition holds; fail after the limit."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - any state of the world may be awaited, with a limit
            await asyncio.sleep(0.002)
