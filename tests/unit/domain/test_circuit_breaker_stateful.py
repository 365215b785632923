"""The circuit breaker against a reference that remembers everything and recomputes each answer."""

from dataclasses import dataclass, field
from math import floor
from typing import Literal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from eventbridge.domain.circuit_breaker import BreakerPolicy, CircuitBreaker, CircuitState, Permit

# Eighths are exact in binary: the reference may add up times in another order and still agree to the bit.
EIGHTHS = st.integers(1, 80).map(lambda eighths: eighths / 8)
POLICIES = st.builds(
    BreakerPolicy,
    window_seconds=st.sampled_from([2.5, 5.0, 10.0]),
    failure_rate=st.sampled_from([0.25, 0.5, 1.0]),
    minimum_calls=st.integers(1, 4),
    probe_interval_seconds=st.sampled_from([0.5, 1.0]),
    probe_interval_max_seconds=st.sampled_from([1.0, 3.0, 5.0]),
    probe_growth=st.sampled_from([1.0, 2.0]),
    jitter_share=st.sampled_from([0.0, 0.25]),
    probe_timeout_seconds=st.sampled_from([2.0, 30.0]),
)

Verdict = Literal["succeeded", "failed", "released"]


@dataclass
class Opening:
    """What closed calls or a probe led to: from when on the next probe may go."""

    probe_from: float


@dataclass
class Probe:
    """A probe under way; `none_before` is when it is given up."""

    none_before: float


@dataclass
class Closing:
    """A recovery: outcomes before it are forgotten."""

    at_outcome: int


@dataclass
class Reference:
    """The complete history of outcomes and changes; every answer is read off it."""

    policy: BreakerPolicy
    outcomes: list[tuple[float, bool]] = field(default_factory=list)
    history: list[Opening | Probe | Closing] = field(default_factory=list)
    failed_probes_since_closing: int = 0

    @property
    def state(self) -> CircuitState:
        match self.history[-1:]:
            case [Opening()]:
                return CircuitState.OPEN
            case [Probe()]:
                return CircuitState.HALF_OPEN
            case _:
                return CircuitState.CLOSED

    @property
    def due_at(self) -> float | None:
        match self.history[-1:]:
            case [Opening(time)] | [Probe(time)]:
                return time
            case _:
                return None

    def recent(self, now: float) -> list[bool]:
        """Whether each call counted at `now` failed: those in this tenth of a window and the nine before."""
        forgotten = max((entry.at_outcome for entry in self.history if isinstance(entry, Closing)), default=0)
        tenth = self.policy.window_seconds / 10
        return [
            failed for at, failed in self.outcomes[forgotten:] if floor(now / tenth) - floor(at / tenth) < 10
        ]

    def ratio(self, now: float) -> float:
        recent = self.recent(now)
        return sum(recent) / len(recent) if recent else 0.0

    def grants(self, now: float) -> bool:
        return self.due_at is None or now >= self.due_at

    def judge(self, given_at_change: int, verdict: Verdict, now: float, jitter: float) -> None:
        """Take the verdict of a permit that was given when the history had `given_at_change` entries."""
        if given_at_change != len(self.history):
            return
        match self.history[-1:], verdict:
            case [Probe(none_before)], _ if now >= none_before:
                return
            case [Probe()], "succeeded":
                self.failed_probes_since_closing = 0
                self.history.append(Closing(len(self.outcomes)))
            case [Probe()], "failed":
                self.failed_probes_since_closing += 1
                self.outcomes.append((now, True))
                self.history.append(Opening(now + self.wait(jitter)))
            case [Probe()], "released":
                self.history.append(Opening(now))
            case _, "succeeded":
                self.outcomes.append((now, False))
            case _, "failed":
                self.outcomes.append((now, True))
                recent = self.recent(now)
                enough = len(recent) >= self.policy.minimum_calls
                if enough and sum(recent) / len(recent) >= self.policy.failure_rate:
                    self.history.append(Opening(now + self.wait(jitter)))

    def wait(self, jitter: float) -> float:
        full = self.policy.probe_interval_seconds * self.policy.probe_growth**self.failed_probes_since_closing
        return min(full, self.policy.probe_interval_max_seconds) * (1 - self.policy.jitter_share * jitter)


@dataclass(frozen=True)
class Given:
    """A permit and when it was given, in changes of the reference."""

    permit: Permit
    at_change: int


class BreakerAgainstReference(RuleBasedStateMachine):
    """Calls, verdicts in any order, late, doubled or never, and time that passes."""

    permits: Bundle[Given] = Bundle("permits")

    @initialize(policy=POLICIES, start=st.integers(-80, 80).map(lambda eighths: eighths / 8))
    def begin(self, policy: BreakerPolicy, start: float) -> None:
        self.now = start
        self.jitter = 0.0
        self.changes: list[CircuitState] = [CircuitState.CLOSED]
        self.breaker = CircuitBreaker(
            policy, lambda: self.now, jitter=lambda: self.jitter, on_change=self.note_change
        )
        self.reference = Reference(policy)

    def note_change(self, before: CircuitState, after: CircuitState) -> None:
        assert before is self.changes[-1]
        assert after is not before
        self.changes.append(after)

    @rule(target=permits)
    def acquire(self):  # type: ignore[no-untyped-def]  # the type of `multiple()` is private to Hypothesis
        granted = self.reference.grants(self.now)
        probing = self.reference.state is not CircuitState.CLOSED
        if granted and probing:
            self.reference.history.append(Probe(self.now + self.reference.policy.probe_timeout_seconds))

        permit = self.breaker.acquire()

        assert (permit is not None) == granted
        if permit is None:
            return multiple()
        assert permit.probe == probing
        return Given(permit, len(self.reference.history))

    @rule(
        given=permits,
        verdict=st.sampled_from(["succeeded", "failed", "failed", "released"]),
        jitter=st.sampled_from([0.0, 0.25, 0.5, 0.75]),
    )
    def report(self, given: Given, verdict: Verdict, jitter: float) -> None:
        self.jitter = jitter

        self.reference.judge(given.at_change, verdict, self.now, jitter)
        getattr(self.breaker, verdict)(given.permit)

    @rule(seconds=EIGHTHS)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def time_of_the_probe_comes(self) -> None:
        if self.reference.due_at is not None:
            self.now = max(self.now, self.reference.due_at)

    @rule(verdict=st.sampled_from(["succeeded", "failed"]))
    def somebody_calls(self, verdict: Verdict) -> None:
        given = self.acquire()
        if isinstance(given, Given):
            self.report(given, verdict, 0.0)

    @invariant()
    def agrees_with_the_reference(self) -> None:
        due_at = self.reference.due_at

        assert self.breaker.state is self.reference.state
        assert self.breaker.state is self.changes[-1]
        assert self.breaker.probe_due_at == due_at
        assert self.breaker.seconds_until_probe() == (None if due_at is None else max(0.0, due_at - self.now))
        assert self.breaker.failure_ratio == self.reference.ratio(self.now)

    @invariant()
    def a_sink_that_answers_would_close_it_within_the_limits_of_the_policy(self) -> None:
        policy = self.reference.policy
        longest = max(policy.probe_interval_max_seconds, policy.probe_timeout_seconds)

        assert (self.breaker.seconds_until_probe() or 0.0) <= longest

    def teardown(self) -> None:
        """However the history went: the next probe that succeeds closes."""
        if not hasattr(self, "breaker"):
            return
        self.time_of_the_probe_comes()
        permit = self.breaker.acquire()
        assert permit is not None

        self.breaker.succeeded(permit)

        assert self.breaker.state is CircuitState.CLOSED


BreakerAgainstReference.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestBreakerAgainstReference = BreakerAgainstReference.TestCase
