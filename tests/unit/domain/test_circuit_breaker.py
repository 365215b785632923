"""The circuit breaker, case by case; time is a number that the test sets."""

import dataclasses
from math import inf, nan

import pytest

from eventbridge.domain.circuit_breaker import BreakerPolicy, CircuitBreaker, CircuitState, Permit

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN


class World:
    """A breaker, the clock and the jitter it sees, and the changes it announced."""

    def __init__(self, policy: BreakerPolicy | None = None) -> None:
        self.now = 1000.0
        self.jitter = 0.0
        self.changes: list[tuple[CircuitState, CircuitState]] = []
        self.breaker = CircuitBreaker(
            policy or BreakerPolicy(),
            lambda: self.now,
            jitter=lambda: self.jitter,
            on_change=lambda before, after: self.changes.append((before, after)),
        )

    def permit(self) -> Permit:
        permit = self.breaker.acquire()
        assert permit is not None
        return permit

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            self.breaker.failed(self.permit())

    def succeed(self, times: int = 1) -> None:
        for _ in range(times):
            self.breaker.succeeded(self.permit())

    def open(self) -> None:
        self.fail(times=2)
        assert self.breaker.state is OPEN

    def probe(self) -> Permit:
        """Let the time of the next probe come, and take its permit."""
        due_at = self.breaker.probe_due_at
        assert due_at is not None
        self.now = max(self.now, due_at)
        return self.permit()


@pytest.fixture
def world() -> World:
    return World()


def test_circuit_breaker_closed_state(world: World) -> None:
    permits = [world.breaker.acquire() for _ in range(100)]
    world.succeed(times=100)

    assert all(permit is not None and not permit.probe for permit in permits)
    assert world.breaker.state is CLOSED
    assert world.breaker.failure_ratio == 0.0
    assert world.breaker.probe_due_at is None
    assert world.breaker.seconds_until_probe() is None
    assert world.changes == []


def test_circuit_breaker_opens_on_failure_threshold(world: World) -> None:
    world.succeed(times=3)
    world.fail(times=2)
    state_below = world.breaker.state
    world.fail()

    assert state_below is CLOSED
    assert world.breaker.state is OPEN
    assert world.breaker.failure_ratio == 0.5
    assert world.breaker.acquire() is None
    assert world.changes == [(CLOSED, OPEN)]


def test_circuit_breaker_half_open_recovery(world: World) -> None:
    world.open()

    probe = world.probe()
    beside_the_probe = world.breaker.acquire()
    state_meanwhile = world.breaker.state
    world.breaker.succeeded(probe)

    assert probe.probe
    assert beside_the_probe is None
    assert state_meanwhile is HALF_OPEN
    assert world.breaker.state is CLOSED
    assert world.breaker.failure_ratio == 0.0
    assert world.changes == [(CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, CLOSED)]


def test_one_failure_after_recovery_opens_nothing_because_the_window_was_forgotten(world: World) -> None:
    world.open()
    world.breaker.succeeded(world.probe())

    world.fail()

    assert world.breaker.state is CLOSED


def test_a_single_failed_call_says_too_little_to_open(world: World) -> None:
    world.fail()

    assert world.breaker.state is CLOSED
    assert world.breaker.failure_ratio == 1.0


def test_a_success_never_opens(world: World) -> None:
    world.fail()
    world.succeed()

    assert world.breaker.failure_ratio == 0.5
    assert world.breaker.state is CLOSED


def test_calls_that_left_the_window_count_no_more(world: World) -> None:
    world.fail()
    world.now += 9.999
    ratio_before = world.breaker.failure_ratio
    world.now += 0.001
    ratio_after = world.breaker.failure_ratio
    world.fail()

    assert (ratio_before, ratio_after) == (1.0, 0.0)
    assert world.breaker.state is CLOSED


def test_old_successes_do_not_hide_a_sink_that_fails_now(world: World) -> None:
    world.succeed(times=100_000)
    world.now += 10

    world.fail(times=2)

    assert world.breaker.state is OPEN


def test_the_window_takes_no_more_memory_for_more_calls() -> None:
    world = World(BreakerPolicy(minimum_calls=1_000_000))

    for _ in range(5_000):
        world.succeed()
        world.fail()
        world.now += 0.01

    assert world.breaker.failure_ratio == 0.5
    assert len(world.breaker._window._buckets) == 10


def test_a_clock_that_steps_back_loses_no_call(world: World) -> None:
    world.fail()
    world.now -= 5
    world.fail()

    assert world.breaker.state is OPEN


def test_no_probe_is_granted_before_its_time_and_one_at_its_time(world: World) -> None:
    world.open()
    opened_at = world.now

    world.now = opened_at + 0.999
    too_early = world.breaker.acquire()
    left = world.breaker.seconds_until_probe()
    world.now = opened_at + 1.0
    in_time = world.breaker.acquire()

    assert too_early is None
    assert left == pytest.approx(0.001)
    assert in_time is not None


def test_seconds_until_probe_are_not_negative_when_nobody_asked_in_time(world: World) -> None:
    world.open()
    world.now += 100

    assert world.breaker.seconds_until_probe() == 0.0
    assert world.breaker.state is OPEN


def test_probes_grow_rarer_up_to_the_limit_and_start_over_after_a_recovery(world: World) -> None:
    def interval() -> float:
        seconds = world.breaker.seconds_until_probe()
        assert seconds is not None
        return seconds

    world.open()
    intervals = [interval()]
    for _ in range(4):
        world.breaker.failed(world.probe())
        intervals.append(interval())
    world.breaker.succeeded(world.probe())
    world.open()
    intervals.append(interval())

    assert intervals == [1, 2, 4, 5, 5, 1]


def test_jitter_shortens_an_interval_by_its_share_and_never_lengthens_it(world: World) -> None:
    world.jitter = 0.5
    world.open()
    first = world.breaker.seconds_until_probe()
    world.jitter = 0.0
    for _ in range(5):
        world.breaker.failed(world.probe())
    longest = world.breaker.seconds_until_probe()

    assert first == pytest.approx(0.9)
    assert longest == 5


def test_without_a_source_of_jitter_intervals_are_exact() -> None:
    breaker = CircuitBreaker(BreakerPolicy(minimum_calls=1), lambda: 7.0)
    permit = breaker.acquire()
    assert permit is not None

    breaker.failed(permit)

    assert breaker.probe_due_at == 8.0


def test_a_failed_probe_opens_again_and_shows_in_the_ratio(world: World) -> None:
    world.open()
    world.now += 100

    world.breaker.failed(world.probe())

    assert world.breaker.state is OPEN
    assert world.breaker.failure_ratio == 1.0
    assert world.changes == [(CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, OPEN)]


@pytest.mark.parametrize("verdict", ["succeeded", "failed", "released"])
def test_answers_to_calls_made_before_the_opening_change_nothing_while_open(
    world: World, verdict: str
) -> None:
    late = world.permit()
    world.open()
    due_at, ratio = world.breaker.probe_due_at, world.breaker.failure_ratio

    world.now += 0.5
    getattr(world.breaker, verdict)(late)

    assert world.breaker.state is OPEN
    assert (world.breaker.probe_due_at, world.breaker.failure_ratio) == (due_at, ratio)


@pytest.mark.parametrize("verdict", ["succeeded", "failed", "released"])
def test_answers_to_calls_made_before_the_opening_do_not_decide_for_the_probe(
    world: World, verdict: str
) -> None:
    late = world.permit()
    world.open()
    probe = world.probe()

    getattr(world.breaker, verdict)(late)
    state_meanwhile = world.breaker.state
    world.breaker.succeeded(probe)

    assert state_meanwhile is HALF_OPEN
    assert world.breaker.state is CLOSED


def test_failures_of_before_the_opening_do_not_count_after_the_recovery(world: World) -> None:
    late = [world.permit() for _ in range(10)]
    world.open()
    world.breaker.succeeded(world.probe())

    for permit in late:
        world.breaker.failed(permit)

    assert world.breaker.state is CLOSED
    assert world.breaker.failure_ratio == 0.0


@pytest.mark.parametrize("verdict", ["succeeded", "failed", "released"])
def test_the_verdict_of_a_probe_counts_once(world: World, verdict: str) -> None:
    world.open()
    probe = world.probe()
    world.breaker.failed(probe)
    due_at = world.breaker.probe_due_at

    getattr(world.breaker, verdict)(probe)

    assert world.breaker.state is OPEN
    assert world.breaker.probe_due_at == due_at


def test_a_released_probe_makes_room_for_the_next_at_once_and_slows_nothing_down(world: World) -> None:
    world.open()
    first = world.probe()

    world.breaker.released(first)
    state_released = world.breaker.state
    second = world.breaker.acquire()
    assert second is not None
    world.breaker.failed(second)

    assert state_released is OPEN
    assert second.probe
    assert world.breaker.seconds_until_probe() == 2


def test_a_released_call_says_nothing_about_the_sink(world: World) -> None:
    for _ in range(100):
        world.breaker.released(world.permit())
    world.fail()

    assert world.breaker.state is CLOSED
    assert world.breaker.failure_ratio == 1.0


def test_releasing_after_the_verdict_does_nothing(world: World) -> None:
    permit = world.permit()
    world.breaker.failed(permit)
    world.breaker.released(permit)
    world.fail()
    probe = world.probe()
    world.breaker.succeeded(probe)
    world.breaker.released(probe)

    assert world.breaker.state is CLOSED


def test_a_probe_that_never_reports_is_given_up(world: World) -> None:
    world.open()
    lost = world.probe()

    world.now += 29.999
    too_early = world.breaker.acquire()
    world.now = 1001.0 + 30
    second = world.breaker.acquire()

    assert lost.probe
    assert too_early is None
    assert second is not None
    assert second.probe
    assert world.changes == [(CLOSED, OPEN), (OPEN, HALF_OPEN)]


@pytest.mark.parametrize("verdict", ["succeeded", "failed", "released"])
def test_the_late_verdict_of_a_probe_given_up_changes_nothing(world: World, verdict: str) -> None:
    world.open()
    lost = world.probe()
    world.now += 30

    getattr(world.breaker, verdict)(lost)
    state_before_the_next = world.breaker.state
    second = world.permit()
    getattr(world.breaker, verdict)(lost)
    state_during_the_next = world.breaker.state
    world.breaker.succeeded(second)

    assert state_before_the_next is HALF_OPEN
    assert state_during_the_next is HALF_OPEN
    assert world.breaker.state is CLOSED


def test_an_observer_that_calls_back_finds_the_change_complete() -> None:
    seen: list[tuple[CircuitState, Permit | None]] = []
    breaker = CircuitBreaker(
        BreakerPolicy(minimum_calls=1),
        lambda: 0.0,
        on_change=lambda _before, _after: seen.append((breaker.state, breaker.acquire())),
    )
    permit = breaker.acquire()
    assert permit is not None

    breaker.failed(permit)

    assert seen == [(OPEN, None)]


def test_the_defaults_are_the_documented_ones() -> None:
    assert dataclasses.asdict(BreakerPolicy()) == {
        "window_seconds": 10,
        "failure_rate": 0.5,
        "minimum_calls": 2,
        "probe_interval_seconds": 1,
        "probe_interval_max_seconds": 5,
        "probe_growth": 2,
        "jitter_share": 0.2,
        "probe_timeout_seconds": 30,
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"window_seconds": 0}, "window_seconds must be more than 0"),
        ({"window_seconds": nan}, "window_seconds must be more than 0"),
        ({"window_seconds": inf}, "window_seconds must be finite"),
        ({"failure_rate": 0}, "failure_rate must be more than 0 and at most 1"),
        ({"failure_rate": 1.01}, "failure_rate must be more than 0 and at most 1"),
        ({"minimum_calls": 0}, "minimum_calls must be at least 1"),
        ({"probe_interval_seconds": 0}, "probe_interval_seconds must be more than 0"),
        (
            {"probe_interval_seconds": 6},
            "probe_interval_max_seconds must not be less than probe_interval_seconds",
        ),
        ({"probe_interval_max_seconds": inf}, "probe_interval_max_seconds must be finite"),
        ({"probe_interval_max_seconds": nan}, "probe_interval_max_seconds must be finite"),
        ({"probe_growth": 0.99}, "probe_growth must be at least 1"),
        ({"probe_growth": inf}, "probe_growth must be finite"),
        ({"jitter_share": -0.01}, "jitter_share must be at least 0 and less than 1"),
        ({"jitter_share": 1}, "jitter_share must be at least 0 and less than 1"),
        ({"probe_timeout_seconds": 0}, "probe_timeout_seconds must be more than 0"),
        ({"probe_timeout_seconds": inf}, "probe_timeout_seconds must be finite"),
    ],
)
def test_a_policy_that_makes_no_sense_cannot_be_built(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError) as refusal:
        BreakerPolicy(**values)  # type: ignore[arg-type]  # every field is tried with numbers of any kind

    assert str(refusal.value) == message


@pytest.mark.parametrize(
    "values",
    [
        {"failure_rate": 1},
        {"minimum_calls": 1},
        {"probe_interval_seconds": 0.5, "window_seconds": 0.5, "probe_timeout_seconds": 0.5},
        {"probe_interval_seconds": 5},
        {"probe_growth": 1},
        {"jitter_share": 0},
    ],
)
def test_the_limits_of_a_policy_are_allowed(values: dict[str, float]) -> None:
    policy = BreakerPolicy(**values)  # type: ignore[arg-type]  # every field is tried with numbers of any kind

    assert all(getattr(policy, field) == value for field, value in values.items())
