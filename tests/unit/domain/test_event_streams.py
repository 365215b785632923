"""The parser that the tests trust, and the bytes that we write, held to one table (FAULTS.md 40)."""

from typing import Any

import pytest

from eventbridge.domain import wire_format
from eventbridge.domain.message import SSEMessage
from tests.unit.domain.event_streams import CASES
from tests.unit.domain.sse_parser import Dispatched, EventStreamParser


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_stream_means_what_the_standard_says(case: dict[str, Any]) -> None:
    parser = EventStreamParser()

    events = parser.feed(case["stream"].encode())

    assert events == [
        Dispatched(event["type"], event["data"], event["lastEventId"]) for event in case["events"]
    ]


@pytest.mark.parametrize("case", [case for case in CASES if "message" in case], ids=lambda case: case["name"])
def test_a_message_is_written_as_the_table_has_it(case: dict[str, Any]) -> None:
    event, position, data = (case["message"][name] for name in ("event", "id", "data"))

    wire = wire_format.encode(SSEMessage(event=event, id=position, data=data.encode()))

    assert wire.decode() == case["stream"]
