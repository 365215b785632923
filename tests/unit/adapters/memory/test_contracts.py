"""The in-memory adapters keep the contracts of their ports."""

import pytest

from eventbridge.testing import DeadLettersContract, EventSinkContract, EventSourceContract
from tests.unit.adapters.memory.under_test import (
    MemoryDeadLettersUnderTest,
    MemoryLogUnderTest,
    MemorySinkUnderTest,
)


class TestMemoryEventSink(EventSinkContract):
    @pytest.fixture
    def under_test(self) -> MemorySinkUnderTest:
        return MemorySinkUnderTest()


class TestMemoryEventSource(EventSourceContract):
    @pytest.fixture
    def under_test(self) -> MemoryLogUnderTest:
        return MemoryLogUnderTest()


class TestMemoryDeadLetters(DeadLettersContract):
    @pytest.fixture
    def under_test(self) -> MemoryDeadLettersUnderTest:
        return MemoryDeadLettersUnderTest()
