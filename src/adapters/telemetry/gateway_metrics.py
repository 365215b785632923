"""The gateway's numbers for Prometheus."""

from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Metric, PlatformCollector, ProcessCollector
from prometheus_client.registry import Collector

from .prometheus import AGE_SECONDS
from .series import Counter, Gauge, Histogram

_AT_ONCE: Final = 1024
"""Deliveries that are counted together."""


class GatewayMetrics(Collector):
    """`GatewayTelemetry` as series of a registry: its own (`registry`), process and platform beside them, or
    a given one, such as the bridge's where both run in one process.

    The names are those of DESIGN.md 6 and `docs/observability.md`. For one event loop's thread, which
    also answers scrapes.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._open = 0
        self._ages: list[int] = []
        """Of events that were handed to sockets and are not counted yet, in ms."""
        self._connections = Gauge("eventbridge_gateway_connections", "Streams that are open.")
        self._deliveries = Counter("eventbridge_gateway_deliveries", "Events handed to sockets.")
        self._resumes = Counter(
            "eventbridge_gateway_resumes", "Cursors that were proved, or reset for a reason.", "result"
        )
        self._disconnects = Counter("eventbridge_gateway_disconnects", "Streams that ended.", "reason")
        self._refusals = Counter(
            "eventbridge_gateway_refusals", "Connects that were not let in; pages try again.", "reason"
        )
        self._failed_open = Counter(
            "eventbridge_gateway_limits_failed_open", "Limits that could not be checked.", "limit"
        )
        self._age = Histogram(
            "eventbridge_delivery_age_seconds", "Kafka timestamp to handed to a page's socket.", AGE_SECONDS
        )
        if registry is None:
            registry = CollectorRegistry()
            ProcessCollector(registry=registry)
            PlatformCollector(registry=registry)
        self.registry = registry
        """Where other collectors of the same process may register, too."""
        self.registry.register(self)

    def connected(self) -> None:
        """A stream was opened."""
        self._open += 1

    def disconnected(self, reason: str) -> None:
        """A stream ended."""
        self._open -= 1
        self._disconnects.add(1, reason)

    def resumed(self, result: str) -> None:
        """A cursor was proved (`continuous`), or reset for a reason."""
        self._resumes.add(1, result)

    def refused(self, reason: str) -> None:
        """A connect was not let in."""
        self._refusals.add(1, reason)

    def delivered(self, timestamps: Sequence[int | None], now_ms: int) -> None:
        """Events were handed to the socket; counted a little later, together with others.

        A clock that runs behind the producers' shows an age of 0; events without a timestamp are counted
        and have no age.
        """
        ages = self._ages
        for at in timestamps:
            if at is None or at < 0:
                self._deliveries.add(1)
            else:
                ages.append(now_ms - at)
        if len(ages) >= _AT_ONCE:
            self._count_deliveries()

    def failed_open(self, limit: str) -> None:
        """A limit could not be checked and the page was let in."""
        self._failed_open.add(1, limit)

    def collect(self) -> Iterator[Metric]:
        """All families, for the registry."""
        self._count_deliveries()
        self._connections.set(self._open)
        for series in (
            self._connections,
            self._deliveries,
            self._resumes,
            self._disconnects,
            self._refusals,
            self._failed_open,
            self._age,
        ):
            yield series.family()

    def _count_deliveries(self) -> None:
        ages, self._ages = self._ages, []
        self._deliveries.add(len(ages))
        self._age.observe_many([age / 1000 if age > 0 else 0.0 for age in ages])
