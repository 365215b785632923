"""Who is let in: open streams in all, of one address, of one user, and new ones per second."""

import contextlib
import logging
import random
from collections.abc import Callable
from enum import StrEnum
from types import TracebackType
from typing import Final, Self

import msgspec

from ..domain.client_address import client_group
from .cause_log import CauseLog
from .connect_rate import ConnectRate
from .errors import SinkMisconfigured, SinkUnavailable
from .gateway_ports import GatewayTelemetry, Leases
from .ports import Clock

FULL_RETRY_SECONDS: Final = (5.0, 15.0)
"""When a page may come again where slots are taken: they are given back when others leave."""

RATE_RETRY_SECONDS: Final = (1.0, 60.0)
"""The same where too many came at once: from the first, spread over the backlog, up to the second."""


class AdmissionLimits(msgspec.Struct, frozen=True):
    """How many; 0 is no limit."""

    connections: int = 0
    per_address: int = 0
    per_user: int = 0
    """Over all gateways."""
    connects_per_second: int = 0


class RefusalReason(StrEnum):
    """Which limit was reached; fit for a metric's label."""

    CONNECTIONS = "connections"
    ADDRESS = "address"
    USER = "user"
    RATE = "rate"


_REACHED: Final = {
    RefusalReason.CONNECTIONS: "max_connections is reached",
    RefusalReason.ADDRESS: "max_connections_per_address is reached; is that a proxy, not in trusted_proxies?",
    RefusalReason.USER: "max_connections_per_user is reached by a user",
    RefusalReason.RATE: "more come than connects_per_second",
}

log = logging.getLogger(__name__)


class Refused(msgspec.Struct, frozen=True):
    """Not now. Answered with 200, `retry:` and the end: any other status ends an `EventSource` for good."""

    reason: RefusalReason
    retry_ms: int
    """When to come again; differs from page to page."""


class Admission:
    """Counts the open streams of this process, and asks for the slots that all gateways share.

    First `enter`, before anything that costs, then, once the user is known, `claim` on what it gave. For one
    event loop.
    """

    def __init__(
        self,
        limits: AdmissionLimits,
        leases: Leases,
        telemetry: GatewayTelemetry,
        clock: Clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`chance` spreads retries: 0 to 1."""
        self.limits = limits
        self.leases = leases
        self.telemetry = telemetry
        self._rate = ConnectRate(limits.connects_per_second, clock)
        self._causes = CauseLog(log, clock)
        self._chance = chance
        self._by_group: dict[str, int] = {}
        self._open = 0

    @property
    def open(self) -> int:
        """Slots taken now."""
        return self._open

    def enter(self, address: str) -> "Admitted | Refused":
        """Take a slot for a client; never waits. The slot must be closed, best by `async with`."""
        group = client_group(address)
        taken = self._by_group.get(group, 0)
        if 0 < self.limits.connections <= self._open:
            return self.refusal(RefusalReason.CONNECTIONS)
        if 0 < self.limits.per_address <= taken:
            return self.refusal(RefusalReason.ADDRESS)
        if not self._rate.take():
            return self.refusal(RefusalReason.RATE)
        self._by_group[group] = taken + 1
        self._open += 1
        return Admitted(self, group)

    def refusal(self, reason: RefusalReason) -> Refused:
        """Say no, and when to come again; the log hears of it, too."""
        self._causes.say(reason, logging.WARNING, f"pages are sent away for now: {_REACHED[reason]}")
        shortest, longest = FULL_RETRY_SECONDS
        if reason is RefusalReason.RATE:
            shortest, most = RATE_RETRY_SECONDS
            longest = min(most, 2 * shortest + self._rate.backlog_seconds)
        return Refused(reason, round(1000 * (shortest + (longest - shortest) * self._chance())))

    def fail_open(self, error: SinkUnavailable | SinkMisconfigured) -> None:
        """Count that a user's slots could not be. That the store is away others tell; that it refuses us
        nobody else may notice."""
        self.telemetry.failed_open(RefusalReason.USER)
        if isinstance(error, SinkMisconfigured):
            self._causes.say(
                "open", logging.WARNING, f"users' pages cannot be counted, all are let in: {error}"
            )

    def leave(self, group: str) -> None:
        """Give a slot back; called by the slot itself, once."""
        self._open -= 1
        left = self._by_group[group] - 1
        if left:
            self._by_group[group] = left
        else:
            del self._by_group[group]


class Admitted:
    """A slot. `aclose` gives everything back, however far it got; more than once does no harm."""

    __slots__ = ("_admission", "_connection", "_group", "_held", "_user_id")

    def __init__(self, admission: Admission, group: str) -> None:
        self._admission = admission
        self._group = group
        self._held = True
        self._user_id = ""
        self._connection = ""

    async def claim(self, user_id: str, connection: str) -> Refused | None:
        """Take one of the user's slots as well; None where that went well, or could not be asked.

        `connection` is a name that no other connection has. Each connection claims once.
        """
        # Noted before the call: a cancelled one may have taken the lease.
        self._user_id, self._connection = user_id, connection
        if await self._take():
            return None
        self._user_id = ""
        return self._admission.refusal(RefusalReason.USER)

    @property
    def leased(self) -> bool:
        """Whether there is something to renew."""
        return self._held and bool(self._user_id) and self._admission.limits.per_user > 0

    async def renew(self) -> None:
        """Keep the user's slot from expiring. A slot that was lost meanwhile closes nothing."""
        if self.leased:
            await self._take()

    def free(self) -> None:
        """Give back what this process counts; at once, without waiting. `aclose` does the rest."""
        if self._held:
            self._held = False
            self._admission.leave(self._group)

    async def aclose(self) -> None:
        """Give back everything. Where this is cancelled, or Redis is away, the user's slot expires."""
        self.free()
        user_id, self._user_id = self._user_id, ""
        if user_id and self._admission.limits.per_user:
            with contextlib.suppress(SinkUnavailable, SinkMisconfigured):
                await self._admission.leases.release(user_id, self._connection)

    async def _take(self) -> bool:
        limit = self._admission.limits.per_user
        if not limit:
            return True
        try:
            return await self._admission.leases.take(self._user_id, self._connection, limit)
        except (SinkUnavailable, SinkMisconfigured) as error:
            self._admission.fail_open(error)
            return True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
