"""The examples of docs/embedding.md run as they stand, and the webhook sink keeps its contract."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from eventbridge.application.errors import SinkUnavailable
from eventbridge.domain.message import SSEMessage
from eventbridge.domain.routing import Target
from eventbridge.testing import MemorylessSinkContract, StoredEvent

EXAMPLES = Path(__file__).parents[2] / "examples"


async def run(name: str) -> tuple[int | None, Sequence[str], str]:
    """Exit code, lines written and errors of one example, as a reader would start it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "always",
        str(EXAMPLES / name),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    return process.returncode, out.decode().splitlines(), errors.decode()


async def test_the_webhook_prints_each_event_once_as_it_arrived() -> None:
    code, lines, errors = await run("webhook_sink.py")

    assert (code, errors) == (0, "")
    assert len(lines) == 13
    assert all("Genesis.Session." in line and line.endswith(" bytes") for line in lines)


async def test_the_list_reaches_the_streams_of_its_users() -> None:
    code, lines, errors = await run("list_source.py")

    assert (code, errors) == (0, "")
    assert len(lines) == 2
    assert all("events, the last is Genesis.Session." in line for line in lines)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def webhook_sink(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(sys.modules, "list_source", load("list_source"))
    return load("webhook_sink")


class WebhookUnderTest:
    def __init__(self, example: Any, receiver: Any) -> None:
        self.sink = example.WebhookSink("127.0.0.1", receiver.server_port)
        self._receiver = receiver

    async def stored(self, target: Target) -> Sequence[StoredEvent]:
        return [
            StoredEvent(event=event, data=data)
            for user, event, data in self._receiver.received
            if user == target.id
        ]


class TestWebhookSink(MemorylessSinkContract):
    @pytest.fixture
    def under_test(self, webhook_sink: Any) -> Iterator[WebhookUnderTest]:
        with webhook_sink.Receiver() as receiver:
            yield WebhookUnderTest(webhook_sink, receiver)

    async def test_is_unavailable_while_nobody_receives(self, webhook_sink: Any) -> None:
        with webhook_sink.Receiver() as receiver:
            sink = webhook_sink.WebhookSink("127.0.0.1", receiver.server_port)

        with pytest.raises(SinkUnavailable, match="connection"):
            await sink.publish_event("user", SSEMessage(event="e", data=b"{}"))
