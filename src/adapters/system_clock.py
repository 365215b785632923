"""The machine's clocks."""

import time


class SystemClock:
    """The `Clock` port on the machine it runs on."""

    def monotonic(self) -> float:
        """Seconds that never jump."""
        return time.monotonic()

    def now_ms(self) -> int:
        """Wall clock, milliseconds since the epoch."""
        return time.time_ns() // 1_000_000
