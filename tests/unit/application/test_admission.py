"""Slots are taken up to the limits and always given back, whatever happens in between."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbridge.adapters.memory.clock import ManualClock
from eventbridge.application.admission import Admission, AdmissionLimits, Admitted, RefusalReason, Refused
from eventbridge.application.errors import SinkMisconfigured, SinkUnavailable

USER = "3f2b8c1e-0000-4000-8000-00000000000a"


class SharedSlots:
    """The `Leases` port in memory; `fails_with` and `hangs` are its bad days."""

    def __init__(self) -> None:
        self.taken: dict[str, set[str]] = {}
        self.released: list[str] = []
        self.fails_with: Exception | None = None
        self.hangs = False
        self.asked = asyncio.Event()

    async def take(self, user_id: str, connection: str, limit: int) -> bool:
        if self.fails_with is not None:
            raise self.fails_with
        held = self.taken.setdefault(user_id, set())
        if connection not in held and len(held) >= limit:
            return False
        held.add(connection)
        self.asked.set()
        if self.hangs:
            await asyncio.Event().wait()
        return True

    async def release(self, user_id: str, connection: str) -> None:
        if self.fails_with is not None:
            raise self.fails_with
        self.released.append(connection)
        self.taken.get(user_id, set()).discard(connection)


class Numbers:
    """The `GatewayTelemetry` port: only what was failed open is of interest."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def connected(self) -> None: ...
    def disconnected(self, reason: str) -> None: ...
    def resumed(self, result: str) -> None: ...
    def delivered(self, timestamps: Sequence[int | None], now_ms: int) -> None: ...

    def failed_open(self, limit: str) -> None:
        self.opened.append(limit)


@pytest.fixture
def slots() -> SharedSlots:
    return SharedSlots()


@pytest.fixture
def numbers() -> Numbers:
    return Numbers()


def admission(
    limits: AdmissionLimits, slots: SharedSlots, numbers: Numbers, clock: ManualClock | None = None
) -> Admission:
    return Admission(limits, slots, numbers, clock or ManualClock(), chance=lambda: 0.5)


def entered(gate: Admission, address: str = "203.0.113.5") -> Admitted:
    slot = gate.enter(address)
    assert isinstance(slot, Admitted)
    return slot


def reason(refused: Admitted | Refused | None) -> RefusalReason:
    assert isinstance(refused, Refused)
    assert refused.retry_ms >= 1000
    return refused.reason


async def test_no_limit_lets_everybody_in(slots: SharedSlots, numbers: Numbers) -> None:
    gate = admission(AdmissionLimits(), slots, numbers)

    held = [entered(gate) for _ in range(5000)]
    refused = [await slot.claim(USER, str(number)) for number, slot in enumerate(held)]

    assert gate.open == 5000
    assert set(refused) == {None}
    assert slots.taken == {}


async def test_streams_in_all_are_limited(slots: SharedSlots, numbers: Numbers) -> None:
    gate = admission(AdmissionLimits(connections=2), slots, numbers)
    first, _ = entered(gate, "203.0.113.1"), entered(gate, "203.0.113.2")

    refused = gate.enter("203.0.113.3")
    await first.aclose()

    assert reason(refused) is RefusalReason.CONNECTIONS
    assert isinstance(gate.enter("203.0.113.3"), Admitted)


async def test_a_limit_that_is_reached_is_said_once_however_many_are_sent_away(
    slots: SharedSlots, numbers: Numbers, caplog: pytest.LogCaptureFixture
) -> None:
    gate = admission(AdmissionLimits(per_address=1, per_user=1), slots, numbers)
    first, second = entered(gate, "203.0.113.1"), entered(gate, "203.0.113.2")
    await first.claim(USER, "first")

    for _ in range(1000):
        gate.enter("203.0.113.1")
    await second.claim(USER, "second")

    assert caplog.messages == [
        "pages are sent away for now: max_connections_per_address is reached; is that a proxy, not in "
        "trusted_proxies?",
        "pages are sent away for now: max_connections_per_user is reached by a user",
    ]


async def test_streams_of_an_address_are_limited(slots: SharedSlots, numbers: Numbers) -> None:
    gate = admission(AdmissionLimits(per_address=1), slots, numbers)
    first = entered(gate, "2001:db8:1:2::1")

    neighbour, other = gate.enter("2001:db8:1:2:ffff::2"), gate.enter("2001:db8:1:3::1")
    await first.aclose()

    assert reason(neighbour) is RefusalReason.ADDRESS
    assert isinstance(other, Admitted)
    assert isinstance(gate.enter("2001:db8:1:2:ffff::2"), Admitted)


async def test_streams_of_a_user_are_limited_and_a_refused_one_frees_no_other(
    slots: SharedSlots, numbers: Numbers
) -> None:
    gate = admission(AdmissionLimits(per_user=1), slots, numbers)
    first, second = entered(gate), entered(gate)

    assert await first.claim(USER, "a") is None
    refused = await second.claim(USER, "b")
    await second.aclose()

    assert reason(refused) is RefusalReason.USER
    assert slots.taken == {USER: {"a"}}
    assert slots.released == []


def test_new_streams_per_second_are_limited_and_take_no_slot(slots: SharedSlots, numbers: Numbers) -> None:
    clock = ManualClock()
    gate = admission(AdmissionLimits(connects_per_second=2), slots, numbers, clock)
    for _ in range(2):
        entered(gate)

    refused = gate.enter("203.0.113.9")
    clock.advance(1)

    assert reason(refused) is RefusalReason.RATE
    assert gate.open == 2
    assert isinstance(gate.enter("203.0.113.9"), Admitted)


def test_who_finds_no_slot_costs_nobody_a_place_in_the_rate(slots: SharedSlots, numbers: Numbers) -> None:
    gate = admission(AdmissionLimits(per_address=1, connects_per_second=3), slots, numbers)

    reasons = [gate.enter("203.0.113.5") for _ in range(10)][1:]
    others = [gate.enter(f"203.0.113.{last}") for last in (6, 7)]

    assert {reason(refused) for refused in reasons} == {RefusalReason.ADDRESS}
    assert all(isinstance(other, Admitted) for other in others)


@pytest.mark.parametrize(
    ("chance", "expected"), [(0.0, (5_000, 1_000)), (0.5, (10_000, 26_500)), (1.0, (15_000, 52_000))]
)
def test_retries_are_spread_over_the_backlog(
    chance: float, expected: tuple[int, int], slots: SharedSlots, numbers: Numbers
) -> None:
    limits = AdmissionLimits(connections=100, connects_per_second=100)
    gate = Admission(limits, slots, numbers, ManualClock(), chance=lambda: chance)
    full = gate.refusal(RefusalReason.CONNECTIONS)

    rushed = Admission(
        AdmissionLimits(connects_per_second=100), slots, numbers, ManualClock(), lambda: chance
    )
    last = [rushed.enter("203.0.113.5") for _ in range(5_100)][-1]

    assert isinstance(last, Refused)
    assert (full.retry_ms, last.retry_ms) == expected


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SinkUnavailable("timeout"), []),
        (
            SinkMisconfigured("rights"),
            ["users' pages cannot be counted, all are let in: the sink refuses us (rights)"],
        ),
    ],
)
async def test_a_limit_that_cannot_be_asked_lets_in_and_is_counted(
    error: Exception,
    said: list[str],
    slots: SharedSlots,
    numbers: Numbers,
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = admission(AdmissionLimits(per_user=1), slots, numbers)
    slots.fails_with = error

    async with entered(gate) as slot:
        refused = await slot.claim(USER, "a")

    assert refused is None
    assert numbers.opened == ["user"]
    assert gate.open == 0
    assert caplog.messages == said


async def test_a_slot_is_given_back_whatever_ends_the_stream(slots: SharedSlots, numbers: Numbers) -> None:
    gate = admission(AdmissionLimits(per_address=1, per_user=1), slots, numbers)

    async def stream() -> None:
        async with entered(gate) as slot:
            await slot.claim(USER, "a")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await stream()

    assert gate.open == 0
    assert slots.taken == {USER: set()}


async def test_a_claim_that_is_cancelled_leaves_nothing_behind(slots: SharedSlots, numbers: Numbers) -> None:
    gate = admission(AdmissionLimits(per_user=1), slots, numbers)
    slots.hangs = True

    async def stream() -> None:
        async with entered(gate) as slot:
            await slot.claim(USER, "a")

    task = asyncio.create_task(stream())
    await slots.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert gate.open == 0
    assert slots.taken == {USER: set()}


async def test_a_slot_given_back_twice_counts_once(slots: SharedSlots, numbers: Numbers) -> None:
    gate = admission(AdmissionLimits(connections=5), slots, numbers)
    slot, _ = entered(gate), entered(gate)

    slot.free()
    await slot.aclose()
    await slot.aclose()

    assert gate.open == 1


async def test_a_slot_is_renewed_until_it_is_given_back(slots: SharedSlots, numbers: Numbers) -> None:
    gate = admission(AdmissionLimits(per_user=2), slots, numbers)
    slot = entered(gate)
    await slot.claim(USER, "a")
    slots.taken.clear()

    await slot.renew()
    renewed = {user: set(held) for user, held in slots.taken.items()}
    await slot.aclose()
    await slot.renew()

    assert renewed == {USER: {"a"}}
    assert slots.taken == {USER: set()}


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=60))
def test_the_count_is_what_is_open_whoever_comes_and_goes(steps: list[tuple[bool, int]]) -> None:
    gate = admission(AdmissionLimits(connections=4, per_address=2), SharedSlots(), Numbers())
    held: list[tuple[int, Admitted]] = []

    for arrives, address in steps:
        if arrives:
            slot = gate.enter(f"203.0.113.{address}")
            room = len(held) < 4 and [taken for taken, _ in held].count(address) < 2
            assert isinstance(slot, Admitted) is room
            if isinstance(slot, Admitted):
                held.append((address, slot))
        elif held:
            held.pop(address % len(held))[1].free()

        assert gate.open == len(held)
