"""Event → message → the sink: trimmed, routed by its user, called through the gate, tried again."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from ..domain.circuit_breaker import Permit
from ..domain.delivery import Answer, Applied, Batch, Entry
from ..domain.envelope import Event
from ..domain.routing import EventScope, Target, shard_of
from ..domain.trimming import shown_data, to_message
from .cause_log import CauseLog
from .errors import CircuitOpen, SinkUnavailable
from .ports import Clock, EventSink, Record, Telemetry
from .sink_gate import SinkGate

T = TypeVar("T")

BACKOFF_SECONDS = (0.05, 1.0)
"""First and longest wait before a batch is tried again, doubled between (DELIVERY.md 4.9)."""

MAX_ROUTES = 16_384
"""Users whose shard is remembered, some 3 MB; more begin anew."""


class Publisher:
    """Carries events to the sink.

    Failures are counted by reason and handed to the breaker. Errors of the data and of the
    configuration say nothing about whether the sink is writable: they pass through.
    """

    def __init__(
        self,
        sink: EventSink,
        gate: SinkGate,
        telemetry: Telemetry,
        clock: Clock,
        causes: CauseLog,
        *,
        max_message_bytes: int = 65_536,
        waits_for_sink: bool = True,
    ) -> None:
        """With `waits_for_sink` False, `publish_batch` raises `CircuitOpen` where it would wait."""
        self._sink = sink
        self._gate = gate
        self._telemetry = telemetry
        self._clock = clock
        self._max_message_bytes = max_message_bytes
        self._waits_for_sink = waits_for_sink
        self._causes = causes
        self._routes: dict[str, tuple[int, Target]] = {}

    @property
    def shards(self) -> int:
        """The sink's shards."""
        return self._sink.shards

    def route(self, record: Record, event: Event, traceparent: str | None) -> tuple[int, Entry]:
        """The event's shard, and its entry for the stream of its user."""
        route = self._routes.get(event.user_id)
        if route is None:
            route = self._remember(event.user_id)
        shard, target = route
        entry = Entry(
            record.offset,
            target,
            event.event_type,
            shown_data(event, self._max_message_bytes),
            record.timestamp,
            traceparent,
        )
        return shard, entry

    def _remember(self, user_id: str) -> tuple[int, Target]:
        if len(self._routes) == MAX_ROUTES:
            self._routes.clear()
        target = Target(EventScope.USER, user_id)
        route = self._routes[user_id] = shard_of(user_id, self._sink.shards), target
        return route

    async def publish_event(self, event: Event) -> str:
        """Publish one event that has no source position, once; answers its position in the stream.

        Raises `SinkUnavailable`: then it may or may not be there.
        """
        message = to_message(event, max_bytes=self._max_message_bytes)
        return await self._attempt(
            lambda: self._sink.publish_event(event.user_id, message), wait=self._waits_for_sink
        )

    async def publish_batch(self, batch: Batch) -> Sequence[Answer]:
        """Apply a batch, as often as it takes until the sink answers.

        Raises `SinkMisconfigured`, and `CircuitOpen` where the publisher does not wait.
        """
        started = self._clock.monotonic()
        answers = await self.insist(lambda: self._sink.apply(batch), wait=self._waits_for_sink)
        if batch.entries and isinstance(applied := answers[0], Applied):
            self._telemetry.publish_took(self._clock.monotonic() - started)
            count = len(batch.entries)
            self._telemetry.published(
                applied.appended,
                count - applied.appended,
                [entry.timestamp for entry in batch.entries[count - applied.appended :]],
                self._clock.now_ms(),
            )
        return answers

    async def probe(self, call: Callable[[], Awaitable[T]]) -> T | None:
        """Wait until a probe is due that nobody else makes, and make it; None if the sink still fails.

        Raises `SinkMisconfigured`; the next probe is due at once then.
        """
        permit = await self._gate.idle_probe()
        try:
            return await self._judged(permit, call)
        except SinkUnavailable:
            return None

    async def insist(self, call: Callable[[], Awaitable[T]], *, wait: bool = True) -> T:
        """Make a call to the sink, which must bear repetition, until it is answered.

        While the circuit is open wait for it, or, without `wait`, raise `CircuitOpen`.
        """
        delay, longest = BACKOFF_SECONDS
        while True:
            try:
                return await self._attempt(call, wait=wait)
            except SinkUnavailable:
                await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - spreads retries
                delay = min(2 * delay, longest)

    async def _attempt(self, call: Callable[[], Awaitable[T]], *, wait: bool) -> T:
        permit = self._gate.try_admitted()
        if permit is None:
            if not wait:
                raise CircuitOpen
            permit = await self._gate.admitted()
        return await self._judged(permit, call)

    async def _judged(self, permit: Permit, call: Callable[[], Awaitable[T]]) -> T:
        """Make the call that was permitted, and tell the breaker how it went."""
        try:
            answer = await call()
        except SinkUnavailable as error:
            self._failed(error)
            self._gate.failed(permit)
            raise
        except BaseException:
            self._gate.released(permit)
            raise
        self._gate.succeeded(permit)
        return answer

    def _failed(self, error: SinkUnavailable) -> None:
        self._telemetry.publish_failed(error.reason)
        self._causes.say(f"sink:{error.reason}", logging.WARNING, str(error))
