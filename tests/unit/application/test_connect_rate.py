"""New streams come in at the rate, after a quiet time in one burst, and the others are counted."""

from hypothesis import given
from hypothesis import strategies as st

from eventbridge.adapters.memory.clock import ManualClock
from eventbridge.application.connect_rate import ConnectRate


def let_in(rate: ConnectRate, count: int) -> int:
    return sum(rate.take() for _ in range(count))


def test_a_burst_is_as_much_as_a_second_brings() -> None:
    rate = ConnectRate(10, ManualClock())

    assert let_in(rate, 100) == 10


def test_time_earns_places_but_never_more_than_a_burst() -> None:
    clock = ManualClock()
    rate = ConnectRate(10, clock)
    let_in(rate, 10)

    clock.advance(0.25)
    soon = let_in(rate, 100)
    clock.advance(3600)
    late = let_in(rate, 100)

    assert (soon, late) == (2, 10)


def test_no_limit_lets_everybody_in() -> None:
    rate = ConnectRate(0, ManualClock())

    assert let_in(rate, 10_000) == 10_000
    assert rate.backlog_seconds == 0


def test_the_backlog_is_who_waits_outside_and_gets_less_with_time() -> None:
    clock = ManualClock()
    rate = ConnectRate(10, clock)

    let_in(rate, 110)
    at_once = rate.backlog_seconds
    clock.advance(4)
    rate.take()

    assert at_once == 10
    assert rate.backlog_seconds == 6


@given(
    st.integers(1, 50),
    st.lists(st.tuples(st.floats(0, 5, allow_nan=False), st.integers(0, 80)), max_size=20),
)
def test_never_more_come_in_than_a_burst_and_the_rate_allow(
    per_second: int, arrivals: list[tuple[float, int]]
) -> None:
    clock = ManualClock()
    rate = ConnectRate(per_second, clock)
    admitted = 0

    for pause, count in arrivals:
        clock.advance(pause)
        admitted += let_in(rate, count)

        assert admitted <= per_second + clock.monotonic() * per_second + 1e-6
