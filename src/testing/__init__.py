"""Contract suites for whoever writes an adapter: what the docstrings of the ports promise, as tests.

Subclass a suite in a test module of yours, name the subclass `Test…`, and override its fixture
`under_test`; docs/embedding.md shows one. They need pytest and pytest-asyncio alone.
"""

import pytest

pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module}"
        for module in (
            "dead_letters_contract",
            "delivery_contract",
            "event_sink_contract",
            "event_source_contract",
            "memoryless_sink_contract",
            "sink_refusals",
            "sink_under_test",
            "sink_watermarks",
            "source_groups",
            "source_reading",
        )
    )
)

from .dead_letters_contract import DeadLettersContract, DeadLettersUnderTest  # noqa: E402 - after the rewrite
from .event_sink_contract import EventSinkContract  # noqa: E402 - after the rewrite
from .event_source_contract import EventSourceContract  # noqa: E402 - after the rewrite
from .listener import RecordingListener  # noqa: E402 - after the rewrite
from .log_under_test import LogUnderTest  # noqa: E402 - after the rewrite
from .memoryless_sink_contract import MemorylessSinkContract  # noqa: E402 - after the rewrite
from .sink_under_test import OccupiableSink, SinkUnderTest, StoredEvent  # noqa: E402 - after the rewrite

__all__ = [
    "DeadLettersContract",
    "DeadLettersUnderTest",
    "EventSinkContract",
    "EventSourceContract",
    "LogUnderTest",
    "MemorylessSinkContract",
    "OccupiableSink",
    "RecordingListener",
    "SinkUnderTest",
    "StoredEvent",
]
