"""What a delivery costs: one event to thousands, and one after another to one of thousands."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import msgspec

from benchmarks import targets
from benchmarks.gateway.stage import BareServer, BarestServer, Gateway, Stage, stage
from benchmarks.latency import percentiles
from benchmarks.measuring import RunFailed

FAN_OUT_CONNECTIONS = 2_000
SINGLE_CONNECTIONS = 5_000
RATES = (1_000, 10_000)
CALL_SECONDS = 0.001
"""Between two calls of the sink, each to one shard: of one entry at 1,000 events a second, of ten at
10,000."""

_FAN_OUT_RATE, _FAN_OUT_EVENTS = 10, 40
_FLOW_RATE = 2_000
"""At which each user gets one event before a round, uncounted. The others' rounds left the streams quiet
until a heartbeat of each was due; where events flow there is none."""

_SECONDS = 4
_HELD_SHARE = 0.97
"""Of the rate: below it the publisher was the limit, or Redis, and the round counts for nothing."""


class Round(msgspec.Struct, frozen=True):
    """One round of deliveries: CPU in µs per delivery, latency in ms."""

    deliveries: int
    seconds: float
    cpu_us: float
    audience_cpu_us: float
    redis_cpu_us: float
    """Per event that was published."""
    publisher_cpu_us: float
    """The same."""
    p50_ms: float
    p99_ms: float
    max_ms: float
    others_share: float
    stolen_share: float


class Deliveries(msgspec.Struct, frozen=True):
    """All rounds, of the gateway and of the two bare servers in turns."""

    connections: int
    rate: int
    """Events per second."""
    fan_out: bool
    gateway: Sequence[Round]
    bare: Sequence[Round]
    barest: Sequence[Round]

    @property
    def title(self) -> str:
        """What was done."""
        if self.fan_out:
            return f"One event to {self.connections:,} connections, {self.rate} times a second"
        return f"{self.rate:,} events a second, each to one of {self.connections:,} users"

    @property
    def ratio_to_bare(self) -> float:
        """CPU in terms of the bare server's."""
        return median(self.gateway, "cpu_us") / median(self.bare, "cpu_us")

    @property
    def ratio_to_barest(self) -> float:
        """CPU in terms of that of the bare server without a client library."""
        return median(self.gateway, "cpu_us") / median(self.barest, "cpu_us")

    def missed(self) -> Iterator[str]:
        """Yield what was not reached."""
        cpu, p99 = median(self.gateway, "cpu_us"), median(self.gateway, "p99_ms")
        kind = "fan-out" if self.fan_out else f"single events at {self.rate:,}/s"
        most = targets.MAX_FAN_OUT_US if self.fan_out else targets.MAX_SINGLE_US[self.rate]
        yield from targets.missed(
            (f"{kind}: CPU µs per delivery", cpu, most, False),
            (
                f"{kind}: CPU in terms of the bare server's",
                self.ratio_to_bare,
                targets.MAX_IN_TERMS_OF_BARE,
                False,
            ),
        )
        if not self.fan_out:
            # It is the machine's as much as the server's: the bare one's tells which.
            name = f"{kind}: p99 from call to read, ms (the bare server's: {median(self.bare, 'p99_ms'):.1f})"
            yield from targets.missed((name, p99, targets.MAX_SINGLE_P99_MS[self.rate], False))


def median(rounds: Sequence[Round], name: str) -> float:
    """Return the median of one figure."""
    return float(statistics.median(getattr(each, name) for each in rounds))


class _Load(NamedTuple):
    """What is sent in a round."""

    rate: int
    users: tuple[int, int]
    each: int
    """Events to each user."""


def fan_out(rounds: int, say: Callable[[str], None]) -> Deliveries:
    """Send events to one user with thousands of connections."""
    with _connected((0, 1), FAN_OUT_CONNECTIONS) as stages:
        load = _Load(_FAN_OUT_RATE, (0, 1), _FAN_OUT_EVENTS)
        return _in_turns(stages, load, rounds, say, sent=0)


def singles(rounds: int, say: Callable[[str], None]) -> Iterator[Deliveries]:
    """Send events one by one to thousands of users, at each of the rates."""
    users, sent = (0, SINGLE_CONNECTIONS), 0
    with _connected(users, SINGLE_CONNECTIONS) as stages:
        for rate in RATES:
            load = _Load(rate, users, max(1, rate * _SECONDS // SINGLE_CONNECTIONS))
            yield _in_turns(stages, load, rounds, say, sent=sent)
            sent += rounds * (1 + load.each)


@contextmanager
def _connected(users: tuple[int, int], connections: int) -> Iterator[Sequence[Stage]]:
    """Gateway and bare servers, each with its clients."""
    with ExitStack() as stack:
        stages = [
            stack.enter_context(stage(*each))
            for each in (("gateway", Gateway), ("bare", BareServer), ("barest", BarestServer))
        ]
        for each in stages:
            each.open("all", users, connections)
        yield stages


def _in_turns(
    stages: Sequence[Stage], load: _Load, rounds: int, say: Callable[[str], None], *, sent: int
) -> Deliveries:
    found: tuple[list[Round], list[Round], list[Round]] = ([], [], [])
    connections = 0
    for number in range(rounds):
        for each, into in zip(stages, found, strict=True):
            into.append(_round(each, load, sent + number * (1 + load.each)))
            say(
                f"round {number + 1} at {load.rate:,}/s: {each.name} {into[-1].cpu_us:.1f} µs per delivery, "
                f"p99 {into[-1].p99_ms:.1f} ms"
            )
            connections = into[-1].deliveries // load.each
    fan_out = load.users == (0, 1)
    return Deliveries(connections, load.rate, fan_out, *found)


def _round(on: Stage, load: _Load, sent: int) -> Round:
    per_call = max(1, round(load.rate * CALL_SECONDS))
    on.publish(load.users, 1, rate=_FLOW_RATE, per_call=1)
    on.received("all", sent + 1)
    before = on.moment()
    done = on.publish(load.users, load.each, rate=load.rate, per_call=per_call)
    ages = on.received("all", sent + 1 + load.each)
    used = on.used(before)
    if done["events"] / done["seconds"] < _HELD_SHARE * load.rate:
        raise RunFailed(f"{done['events']} events took {done['seconds']:.1f} s, at {load.rate}/s")
    times, events = percentiles(ages.milliseconds()), done["events"]
    return Round(
        deliveries=len(ages),
        seconds=used.seconds,
        cpu_us=used.server * 1e6 / len(ages),
        audience_cpu_us=used.audience * 1e6 / len(ages),
        redis_cpu_us=used.redis * 1e6 / events,
        publisher_cpu_us=used.publisher * 1e6 / events,
        p50_ms=times["p50"],
        p99_ms=times["p99"],
        max_ms=times["max"],
        others_share=used.others_share,
        stolen_share=used.stolen_share,
    )
