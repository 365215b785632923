"""What a connection costs on which nothing happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import msgspec

from benchmarks import targets
from benchmarks.gateway.stage import BareServer, Gateway, Stage, stage
from benchmarks.procfs import unshared_kib

CONNECTIONS = 5_000
_WARM_UP = 200
"""Connections that come and go before memory is looked at: they load and allocate what is needed once."""
_SETTLE_SECONDS = 16.0
"""Longer than it takes to send each client a heartbeat."""


class Idle(msgspec.Struct, frozen=True):
    """Memory that belongs to the process alone (USS), without the kernel's for its sockets."""

    connections: int
    kib_per_connection: float
    bare_kib_per_connection: float
    cpu_share: float
    """Of one core, while nothing happens but heartbeats."""

    def missed(self) -> Iterator[str]:
        """Yield what was not reached."""
        yield from targets.missed(
            ("KiB per idle connection", self.kib_per_connection, targets.MAX_IDLE_KIB, False)
        )


def idle(say: Callable[[str], None]) -> Idle:
    """Open streams of as many users, and look at what that took."""
    with ExitStack() as stack:
        stages = [stack.enter_context(stage(*each)) for each in (("gateway", Gateway), ("bare", BareServer))]
        empty = [_warmed_up(each) for each in stages]
        for each in stages:
            each.open("idle", (0, CONNECTIONS), CONNECTIONS)
        say(f"{CONNECTIONS:,} idle connections, of as many users")
        before = stages[0].moment()
        time.sleep(_SETTLE_SECONDS)
        used = stages[0].used(before)
        ours, bare = [
            (unshared_kib(each.server.pid) - kib) / CONNECTIONS
            for each, kib in zip(stages, empty, strict=True)
        ]
        for each in stages:
            each.publish((0, CONNECTIONS), 1, rate=5_000, per_call=10)
            each.received("idle", 1)
    return Idle(CONNECTIONS, ours, bare, used.server / used.seconds)


def _warmed_up(of: Stage) -> int:
    of.open("warm-up", (CONNECTIONS, CONNECTIONS + _WARM_UP), _WARM_UP)
    of.audience.ask(do="leave", group="warm-up")
    time.sleep(1)
    return unshared_kib(of.server.pid)
