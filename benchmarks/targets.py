"""What EventBridge is to reach; a run that misses one says so."""

from __future__ import annotations

from collections.abc import Iterator

MIN_RATIO_TO_PLAIN = 2.5
MAX_CPU_US = 16.0
"""Per published event, of the bridge's process."""
MAX_REDIS_CPU_US = 12.0
"""Per published event, of the Redis server."""
MAX_RSS_MB = 150.0
MAX_GROWTH_MB = 10.0
"""Of the resident memory, from a tenth of a soak's records to all of them: flat."""
MAX_P99_MS = 10.0
"""From Kafka's append to an entry that can be read in Redis, at 1,000 records a second."""

MAX_IDLE_KIB = 5.0
"""Of the gateway's memory, per connection that waits."""
MAX_FAN_OUT_US = 12.0
"""Of the gateway's CPU per delivery, where one event goes to thousands."""
MAX_SINGLE_US = {10_000: 35.0, 1_000: 110.0}
"""The same where each event goes to one of thousands, at so many events a second."""
MAX_SINGLE_P99_MS = {10_000: 4.0, 1_000: 1.5}
"""From the sink's call to the client's read."""
MAX_IN_TERMS_OF_BARE = 1.3
"""The gateway's CPU in terms of that of a server which does nothing but write."""
MAX_CAUGHT_UP_SECONDS = 10.0
MAX_OTHERS_P99_MS = 50.0
"""Of clients that stay while thousands come back."""


def missed(*figures: tuple[str, float, float, bool]) -> Iterator[str]:
    """Yield a sentence for each target that is not met; a figure is (name, value, target, more is better)."""
    for name, value, target, more in figures:
        if value < target if more else value > target:
            yield f"{name} is {value:.1f}, the target is at {'least' if more else 'most'} {target:g}"
