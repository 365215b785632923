"""Whether the sink may be called: a circuit breaker without a clock, tasks or randomness of its own."""

import enum
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import floor, isfinite

_BUCKETS = 10
"""Parts that the window is counted in; so it spans between nine tenths and the whole of `window_seconds`."""


class CircuitState(enum.Enum):
    """What the breaker lets through; the value is the word for metrics and logs."""

    CLOSED = "closed"
    """Every call."""
    OPEN = "open"
    """Nothing, until the next probe is due."""
    HALF_OPEN = "half_open"
    """One call, the probe, which is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When to open, and how to probe while open.

    Raises `ValueError`, which names the field, for a value that makes no sense.
    """

    window_seconds: float = 10.0
    """Calls that ended longer ago than this count no more."""
    failure_rate: float = 0.5
    """The share of failures among the calls in the window, in (0, 1], that opens."""
    minimum_calls: int = 2
    """With fewer calls in the window the share says nothing."""
    probe_interval_seconds: float = 1.0
    """From the opening to the first probe."""
    probe_interval_max_seconds: float = 5.0
    """The longest that the interval grows to."""
    probe_growth: float = 2.0
    """Each failed probe multiplies the interval by this, at least 1."""
    jitter_share: float = 0.2
    """The share of an interval, in [0, 1), that jitter may take off: instances do not probe in step."""
    probe_timeout_seconds: float = 30.0
    """A probe without a verdict by then is given up: the next is let through, a late verdict is void."""

    def __post_init__(self) -> None:
        for field in ("window_seconds", "probe_interval_seconds", "probe_timeout_seconds"):
            _require(getattr(self, field) > 0, field, "must be more than 0")
        for field in (
            "window_seconds",
            "probe_interval_max_seconds",
            "probe_growth",
            "probe_timeout_seconds",
        ):
            _require(isfinite(getattr(self, field)), field, "must be finite")
        _require(0 < self.failure_rate <= 1, "failure_rate", "must be more than 0 and at most 1")
        _require(self.minimum_calls >= 1, "minimum_calls", "must be at least 1")
        _require(
            self.probe_interval_max_seconds >= self.probe_interval_seconds,
            "probe_interval_max_seconds",
            "must not be less than probe_interval_seconds",
        )
        _require(self.probe_growth >= 1, "probe_growth", "must be at least 1")
        _require(0 <= self.jitter_share < 1, "jitter_share", "must be at least 0 and less than 1")


def _require(holds: bool, field: str, rule: str) -> None:
    if not holds:
        raise ValueError(f"{field} {rule}")


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave for one call, to be handed back with its verdict."""

    period: int
    """The stretch between two changes of the breaker that it was given in; its verdict is void after that."""
    probe: bool
    """Whether this call decides on its own if the breaker closes."""


class CircuitBreaker:
    """Stops calls to a sink that does not take them, and finds out by single probes when it does again.

    A call asks for a permit with `acquire` and hands it back once, to `succeeded`, `failed` or `released`.
    Every opening, probe and closing starts a new period, and a verdict counts only in the period that its
    permit was given in: an answer that comes late can neither close, open nor delay anything. While it is
    not closed, there is always a time (`probe_due_at`) from which the next `acquire` is granted, whatever
    became of the permits given before; hence it cannot stay open by an accident of order.

    Not safe for several threads; made for one event loop.
    """

    def __init__(
        self,
        policy: BreakerPolicy,
        clock: Callable[[], float],
        *,
        jitter: Callable[[], float] = lambda: 0.0,
        on_change: Callable[[CircuitState, CircuitState], None] = lambda _before, _after: None,
    ) -> None:
        """Start closed.

        `clock` tells monotonic seconds, `jitter` a number in [0, 1) for every interval. `on_change` is told
        the state before and after, once the change is complete; it must not raise.
        """
        self._policy = policy
        self._clock = clock
        self._jitter = jitter
        self._on_change = on_change
        self._state = CircuitState.CLOSED
        self._period = 0
        self._window = _OutcomeWindow(policy.window_seconds)
        self._interval = policy.probe_interval_seconds
        self._probe_due_at = 0.0

    @property
    def state(self) -> CircuitState:
        """The present state; open becomes half-open when the probe's permit is taken, not by time alone."""
        return self._state

    @property
    def failure_ratio(self) -> float:
        """Failures per call in the window, 0 to 1; 0 without calls. Void verdicts do not count."""
        calls, failures = self._window.totals(self._clock())
        return failures / calls if calls else 0.0

    @property
    def probe_due_at(self) -> float | None:
        """The clock's time from which `acquire` grants a probe; `None` while closed.

        While a probe is under way, that is when it is given up.
        """
        return None if self._state is CircuitState.CLOSED else self._probe_due_at

    def seconds_until_probe(self) -> float | None:
        """How long until `probe_due_at`, 0 if it has passed; `None` while closed."""
        due_at = self.probe_due_at
        return None if due_at is None else max(0.0, due_at - self._clock())

    def acquire(self) -> Permit | None:
        """Leave for one call; `None` while open and no probe is due, or while a probe is under way."""
        if self._state is CircuitState.CLOSED:
            return Permit(self._period, probe=False)
        now = self._clock()
        if now < self._probe_due_at:
            return None
        self._probe_due_at = now + self._policy.probe_timeout_seconds
        return Permit(self._enter(CircuitState.HALF_OPEN), probe=True)

    def succeeded(self, permit: Permit) -> None:
        """The sink took the call: a probe closes the breaker and forgets the window. Never opens."""
        now = self._clock()
        if not self._counts(permit, now):
            return
        if permit.probe:
            self._window.clear()
            self._interval = self._policy.probe_interval_seconds
            self._enter(CircuitState.CLOSED)
        else:
            self._window.add(now, failed=False)

    def failed(self, permit: Permit) -> None:
        """The sink did not take the call: may open the breaker; after a probe the next one comes later."""
        now = self._clock()
        if not self._counts(permit, now):
            return
        self._window.add(now, failed=True)
        if permit.probe:
            self._interval = min(
                self._interval * self._policy.probe_growth, self._policy.probe_interval_max_seconds
            )
            self._open(now)
        elif self._failing(now):
            self._open(now)

    def released(self, permit: Permit) -> None:
        """The call gave no verdict on the sink: it was cancelled, or the data was at fault.

        A probe's place is free again at once, with the interval as it was. Releasing a permit whose verdict
        was given already does nothing, so `finally` is a good place for it.
        """
        now = self._clock()
        if permit.probe and self._counts(permit, now):
            self._probe_due_at = now
            self._enter(CircuitState.OPEN)

    def _counts(self, permit: Permit, now: float) -> bool:
        return permit.period == self._period and not (permit.probe and now >= self._probe_due_at)

    def _failing(self, now: float) -> bool:
        calls, failures = self._window.totals(now)
        return calls >= self._policy.minimum_calls and failures / calls >= self._policy.failure_rate

    def _open(self, now: float) -> None:
        self._probe_due_at = now + self._interval * (1 - self._policy.jitter_share * self._jitter())
        self._enter(CircuitState.OPEN)

    def _enter(self, state: CircuitState) -> int:
        before, self._state = self._state, state
        self._period = period = self._period + 1
        if before is not state:
            self._on_change(before, state)
        return period


@dataclass(slots=True)
class _Bucket:
    number: int
    calls: int
    failures: int


class _OutcomeWindow:
    """Counts of the calls that ended lately, in a fixed number of buckets however many the calls."""

    def __init__(self, seconds: float) -> None:
        self._bucket_seconds = seconds / _BUCKETS
        self._buckets: deque[_Bucket] = deque()

    def add(self, now: float, *, failed: bool) -> None:
        number = self._slide(now)
        if not self._buckets or self._buckets[-1].number < number:
            self._buckets.append(_Bucket(number, 0, 0))
        self._buckets[-1].calls += 1
        self._buckets[-1].failures += failed

    def totals(self, now: float) -> tuple[int, int]:
        """Calls and failures."""
        self._slide(now)
        return sum(bucket.calls for bucket in self._buckets), sum(bucket.failures for bucket in self._buckets)

    def clear(self) -> None:
        self._buckets.clear()

    def _slide(self, now: float) -> int:
        number = floor(now / self._bucket_seconds)
        while self._buckets and self._buckets[0].number <= number - _BUCKETS:
            self._buckets.popleft()
        return number
