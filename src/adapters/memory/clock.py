"""A clock that goes on only when it is told to."""


class ManualClock:
    """The `Clock` port for tests and models: monotonic and wall time move together, unless set apart."""

    def __init__(self, now_ms: int = 0) -> None:
        self._monotonic = 0.0
        self._now_ms = float(now_ms)

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._monotonic

    def now_ms(self) -> int:
        """Wall clock, milliseconds since the epoch."""
        return int(self._now_ms)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        if seconds < 0:
            raise ValueError("time does not go backwards: use jump() for the wall clock")
        self._monotonic += seconds
        self._now_ms += seconds * 1000

    def jump(self, seconds: float) -> None:
        """Set the wall clock forwards or back, as an administrator does; no time passes."""
        self._now_ms += seconds * 1000
