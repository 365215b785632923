import asyncio
import os
from collections.abc import Callable, Mapping

import pytest
import uvloop

Loops = Mapping[str, Callable[[], asyncio.AbstractEventLoop]]


def pytest_asyncio_loop_factories(item: pytest.Item) -> Loops:
    """The gateway is cut short on both event loops: the moments of one are not the other's."""
    loops: Loops = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return loops if item.path.stem == "test_gateway" else {"asyncio": loops["asyncio"]}


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of whoever runs the tests do not reach them."""
    for name in os.environ:
        if name.upper().startswith("EVENTBRIDGE"):
            monkeypatch.delenv(name)
