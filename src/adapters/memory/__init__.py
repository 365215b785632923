"""In-memory source, sink, dead letters and clock: for tests, examples and embedding programs."""

from .clock import ManualClock
from .dead_letters import MemoryDeadLetters
from .feed import MemoryEventFeed
from .log import MemoryLog
from .shard import EMPTY, MemoryShard, ShardState, StreamEntry
from .sink import MemoryEventSink
from .source import MemoryEventSource

__all__ = [
    "EMPTY",
    "ManualClock",
    "MemoryDeadLetters",
    "MemoryEventFeed",
    "MemoryEventSink",
    "MemoryEventSource",
    "MemoryLog",
    "MemoryShard",
    "ShardState",
    "StreamEntry",
]
