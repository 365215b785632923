"""Thousands of clients that come, stay, or come back all at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import msgspec

from benchmarks import targets
from benchmarks.gateway.stage import Ages, Gateway, Program, stage
from benchmarks.latency import percentiles
from benchmarks.procfs import resident_mb

OPENED, OPENED_PER_SECOND = 10_000, 1_000
HELD = 15_000
COMING_BACK, MISSED_EACH = 5_000, 50
STAYING, STAYING_RATE = 1_000, 1_000

_PER_CALL = 150


class Opening(msgspec.Struct, frozen=True):
    """Connections opened at a rate, and then more of them held. An error anywhere fails the run."""

    opened: int
    per_second: float
    slowest_ms: float
    """From the request to the first bytes of the stream."""
    cpu_us: float
    """Per connection, of the gateway."""
    audience_cpu_us: float
    held: int
    """So many got one event each while all were open."""
    resident_mb: float

    def missed(self) -> Iterator[str]:
        """Yield nothing: it works, or the run has failed."""
        yield from ()


class Comeback(msgspec.Struct, frozen=True):
    """Clients that come back at once, each with events to catch up on, beside others that stay."""

    clients: int
    missed_each: int
    seconds: float
    """Until each has got everything."""
    cpu_us: float
    """Per event that was caught up on, of the gateway."""
    redis_cpu_us: float
    others_calm: dict[str, float]
    """Latency of those that stay, ms, in the second before."""
    others: dict[str, float]
    """The same meanwhile."""
    others_events: int

    def missed(self) -> Iterator[str]:
        """Yield what was not reached."""
        yield from targets.missed(
            ("seconds until all have caught up", self.seconds, targets.MAX_CAUGHT_UP_SECONDS, False),
            ("p99 of others meanwhile, ms", self.others["p99"], targets.MAX_OTHERS_P99_MS, False),
        )


def opening(say: Callable[[str], None]) -> Opening:
    """Open streams at a steady rate, then some more, and see that all are there."""
    with stage("gateway", Gateway) as on:
        before = on.moment()
        found = on.open("all", (0, OPENED), OPENED, rate=OPENED_PER_SECOND)
        used = on.used(before)
        say(f"{OPENED:,} connections opened in {found['seconds']:.1f} s")
        on.open("all", (OPENED, HELD), HELD - OPENED, rate=OPENED_PER_SECOND)
        on.publish((0, HELD), 1, rate=5_000, per_call=10)
        ages = on.received("all", 1)
        say(f"{len(ages):,} connections held")
        return Opening(
            opened=OPENED,
            per_second=OPENED / found["seconds"],
            slowest_ms=found["slowest_ms"],
            cpu_us=used.server * 1e6 / OPENED,
            audience_cpu_us=used.audience * 1e6 / OPENED,
            held=len(ages),
            resident_mb=resident_mb(on.server.pid),
        )


def comeback(say: Callable[[str], None]) -> Comeback:
    """Let clients leave, miss events, and come back, all at the same moment."""
    users, others = (0, COMING_BACK), (COMING_BACK, COMING_BACK + STAYING)
    with stage("gateway", Gateway) as on, Program("audience") as elsewhere:
        beside = on._replace(audience=elsewhere)
        on.open("all", users, COMING_BACK)
        beside.open("others", others, STAYING)
        on.publish((0, COMING_BACK + STAYING), 1, rate=5_000, per_call=10)
        on.received("all", 1)
        beside.received("others", 1)
        on.audience.ask(do="leave", group="all")
        on.publish(users, MISSED_EACH, rate=0, per_call=_PER_CALL)
        say(f"{COMING_BACK * MISSED_EACH:,} events were published while {COMING_BACK:,} clients were away")
        on.publish(others, 1, rate=STAYING_RATE, per_call=1)
        calm = percentiles(beside.received("others", 2).milliseconds())

        before, began, rounds = on.moment(), time.monotonic_ns(), 2
        on.audience.send(do="return", group="all", port=on.port)
        on.audience.send(do="await", group="all", upto=1 + MISSED_EACH)
        while not on.audience.has_answered() or rounds == 2:
            on.publish(others, 1, rate=STAYING_RATE, per_call=1)
            rounds += 1
        found = on.audience.answer()
        used = on.used(before)
        caught_up = Ages(found["at"], found["times"])
        meanwhile = beside.received("others", rounds).milliseconds(until_ns=caught_up.at_ns)
    seconds = (caught_up.at_ns - began) / 1e9
    say(f"all had caught up after {seconds:.1f} s")
    return Comeback(
        clients=COMING_BACK,
        missed_each=MISSED_EACH,
        seconds=seconds,
        cpu_us=used.server * 1e6 / len(caught_up),
        redis_cpu_us=used.redis * 1e6 / len(caught_up),
        others_calm=calm,
        others=percentiles(meanwhile),
        others_events=len(meanwhile),
    )
