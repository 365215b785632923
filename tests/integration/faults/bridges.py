"""Bridges as a container builds them, in this process: their numbers, their log, their end."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

import msgspec
from dependency_injector import providers

from eventbridge.adapters.kafka.client_manager import KafkaClientManager
from eventbridge.adapters.kafka.dead_letters import KafkaDeadLetters
from eventbridge.application.event_bridge import DomainEventBridgeService
from eventbridge.entrypoints import adapter_settings
from eventbridge.entrypoints.container import Container
from eventbridge.entrypoints.settings_loading import load_settings
from tests.integration.faults.oracle import eventually

QUICK = {
    "COMMIT__CHECKPOINT_SECONDS": "0.3",
    "COMMIT__INTERVAL_SECONDS": "0.3",
    "BREAKER__PROBE_INTERVAL_SECONDS": "0.2",
    "BREAKER__PROBE_INTERVAL_MAX_SECONDS": "0.5",
    "BREAKER__WINDOW_SECONDS": "5",
    "REDIS__TIMEOUT_SECONDS": "1",
    "REDIS__STREAM_MAX_LENGTH": "1000000",
    "KAFKA__MAX_BATCH_RECORDS": "100",
}
"""Settings that let a test see in seconds what takes minutes otherwise."""

HALT_RETRY_SECONDS = 0.3
"""Instead of half a minute, which no operator can choose."""

LETTERS_SECONDS = 2.0
"""How long an attempt to keep rejected records may take."""

SESSION_SECONDS = 3.0
"""How long a dead member's partitions stay with it, where its successor is not known by its name."""


class BridgeUnderTest:
    """A bridge that runs in this process."""

    def __init__(self, container: Container, bridge: DomainEventBridgeService) -> None:
        self.container = container
        self.bridge = bridge
        self.task = asyncio.create_task(bridge.run())

    def number(self, name: str, **labels: str) -> float:
        """One of the numbers that operators see, its name without the prefix; 0 where there is none yet."""
        value = self.container.telemetry().registry.get_sample_value(f"eventbridge_{name}", labels)
        return value or 0.0

    def halted(self, reason: str) -> bool:
        return self.number("partitions_halted", reason=reason) > 0

    @property
    def open(self) -> bool:
        """Whether the circuit is not closed."""
        return self.container.sink_gate().is_open

    @property
    def joined(self) -> bool:
        return any(check.name == "assignment" and check.ok for check in self.bridge.health().checks)

    async def until(self, name: str, at_least: float, **labels: str) -> None:
        """Wait until one of the numbers is so large."""
        await eventually(
            lambda: self.task.done() or self.number(name, **labels) >= at_least,
            f"{name} {labels} to be {at_least}",
        )
        assert not self.task.done(), f"the bridge ended: {self.task}"

    async def until_ready(self) -> None:
        await eventually(lambda: self.task.done() or self.bridge.health().ready, "the bridge to be ready")
        assert not self.task.done(), f"the bridge ended: {self.task}"

    async def stop(self) -> None:
        """As SIGTERM does."""
        self.bridge.stop()
        await self._ended()

    async def abandon(self) -> None:
        """As a crash does, at whatever await it is in; but the group learns of it."""
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self._ended()

    async def _ended(self) -> None:
        try:
            await self.task
        finally:
            if (closing := self.container.shutdown_resources()) is not None:
                await closing


def make_container(settings: Mapping[str, str]) -> Container:
    """The container of `eventbridge run` with these settings, by their names without the prefix."""
    texts = {**QUICK, **settings}
    options = {name.lower().replace("__", "."): (text, name) for name, text in texts.items()}
    loaded = load_settings(options).settings
    container = Container(settings=loaded)
    kafka = dataclasses.replace(
        adapter_settings.kafka_settings(loaded),
        session_timeout_seconds=SESSION_SECONDS,
        heartbeat_interval_seconds=0.5,
    )
    container.kafka_settings.override(providers.Object(kafka))
    bridge = msgspec.structs.replace(
        adapter_settings.bridge_settings(loaded), halt_retry_seconds=HALT_RETRY_SECONDS
    )
    container.bridge_settings.override(providers.Object(bridge))
    if loaded.kafka.dead_letter_topic:
        letters = providers.Resource(_letters, container.kafka_clients, loaded.kafka.dead_letter_topic)
        container.dead_letters.override(letters)
    return container


async def _letters(clients: KafkaClientManager, topic: str) -> AsyncIterator[KafkaDeadLetters]:
    letters = KafkaDeadLetters(clients, topic, LETTERS_SECONDS)
    try:
        yield letters
    finally:
        await letters.stop()


async def begun(settings: Mapping[str, str]) -> BridgeUnderTest:
    """A bridge that runs until the test ends it."""
    container = make_container(settings)
    return BridgeUnderTest(container, await container.bridge.async_())


@asynccontextmanager
async def running(settings: Mapping[str, str]) -> AsyncIterator[BridgeUnderTest]:
    """A bridge that is stopped at the end of the block, unless the test ended it."""
    under_test = await begun(settings)
    try:
        yield under_test
    except BaseException:
        if not under_test.task.done():
            with suppress(Exception):
                await under_test.abandon()
        raise
    if not under_test.task.done():
        await under_test.stop()
    else:
        with suppress(asyncio.CancelledError):
            under_test.task.result()


def numbers(port: int) -> Mapping[str, float]:
    """What a bridge in another process shows at `/metrics`, by names as they stand there, labels included.

    What has not happened yet may be missing there; it is 0 here.
    """
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
        lines = [line for line in page.read().decode().splitlines() if not line.startswith("#")]
    found = {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}
    return defaultdict(float, found)


def memory_peak(pid: int) -> int:
    """The most bytes that a process ever had in memory."""
    [line] = [ln for ln in Path(f"/proc/{pid}/status").read_text().splitlines() if ln.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024
