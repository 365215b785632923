"""The fast way and the walk over the rules agree, on envelopes bent in every way."""

import json
from typing import Any

import pytest
from hypothesis import event as note
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eventbridge.domain.envelope import accept, read_head
from eventbridge.domain.envelope_rules import examine, present, read_members
from eventbridge.domain.event_filter import Event, EventFilter, Filtered, Rejected, RejectionReason
from eventbridge.domain.trimming import to_message
from eventbridge.domain.white_list import WhiteList
from eventbridge.domain.wire_format import encode
from tests.unit.domain.envelopes import ABSENT, EVENT_ID, NOVEL_ID, TIMESTAMP, genesis
from tests.unit.domain.sse_parser import EventStreamParser

TEXT = st.text(max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
UUID_LIKE = st.sampled_from(
    [EVENT_ID, NOVEL_ID.upper(), EVENT_ID + " ", EVENT_ID[:-1], f"{EVENT_ID} {NOVEL_ID}", f"{{{EVENT_ID}}}",
     ""]
) | st.uuids().map(str)  # fmt: skip
TIMES = st.sampled_from([TIMESTAMP, "2026-03-14T15:09Z", "2026-03-14T15:09:26", "2026-02-30T00:00:00Z", ""])
TYPES = st.sampled_from(
    ["Genesis.Session.Started", "Genesis.Session.a b.Updated", "Genesis.Session.x.Updated", "X"]
)
PLACES = st.sampled_from(
    ["event_type", "event_id", "aggregate_id", "correlation_id", "created_at", "metadata", "trace_id",
     "payload", "payload.user_id", "payload.session_id", "payload.timestamp", "payload.novel_id",
     "payload.content", "payload.internal_x", "payload.more", "more"]
)  # fmt: skip
VALUES = st.just(ABSENT) | SCALARS | UUID_LIKE | TIMES | TYPES | JSON
CHANGES = st.lists(st.tuples(PLACES, VALUES), max_size=5)
HEADERS = st.none() | UUID_LIKE.map(str.encode) | st.binary(max_size=40)


def bent(changes: list[tuple[str, Any]]) -> dict[str, Any]:
    envelope = genesis()
    for place, value in changes:
        holder, name = envelope, place
        if place.startswith("payload.") and isinstance(envelope.get("payload"), dict):
            holder, name = envelope["payload"], place.removeprefix("payload.")
        elif place == "trace_id":
            holder, name = {}, "trace_id"
            envelope["metadata"] = holder
        if value is ABSENT:
            holder.pop(name, None)
        else:
            holder[name] = value
    return envelope


@settings(max_examples=300)
@given(CHANGES, HEADERS, st.sampled_from([None, 1]))
@example([("payload.session_id", ABSENT), ("correlation_id", ABSENT)], NOVEL_ID.encode(), None)
@example([("created_at", 5)], None, None)
def test_the_filter_accepts_exactly_what_breaks_no_rule(
    changes: list[tuple[str, Any]], header: bytes | None, indent: int | None
) -> None:
    value = json.dumps(bent(changes), indent=indent).encode()

    answer = EventFilter().decide(value, correlation_id=header)

    note(type(answer).__name__)
    if isinstance(answer, Rejected) and answer.fields == ("record",):
        assert answer.reason is RejectionReason.NOT_JSON  # NaN, or a lone surrogate
        return
    members = present(read_members(value))
    event_type = json.loads(value).get("event_type")
    if isinstance(event_type, str) and not WhiteList().allows(event_type):
        assert answer == Filtered(event_type)
    else:
        assert answer == examine(members, header)


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [("event_id", EVENT_ID.upper()), ("payload.novel_id", NOVEL_ID.upper())],
        [("payload.session_id", ABSENT), ("payload.novel_id", ABSENT), ("payload.timestamp", None)],
        [("payload.content", ABSENT), ("metadata", ABSENT), ("correlation_id", ABSENT)],
        [("created_at", 5), ("more", {"a": [1e300]})],
    ],
)
def test_usual_envelopes_go_the_fast_way(changes: list[tuple[str, Any]]) -> None:
    value = json.dumps(bent(changes)).encode()

    event = accept(read_head(value), NOVEL_ID.encode())

    assert event is not None
    assert event == examine(present(read_members(value)), NOVEL_ID.encode())


@given(CHANGES, HEADERS, st.sampled_from([None, 1]))
def test_every_event_becomes_a_message_that_a_page_can_read(
    changes: list[tuple[str, Any]], header: bytes | None, indent: int | None
) -> None:
    envelope = bent([*changes, ("event_type", "Genesis.Session.Started")])
    event = EventFilter().decide(json.dumps(envelope, indent=indent).encode(), correlation_id=header)

    if not isinstance(event, Event):
        return
    message = to_message(event)
    (read,) = EventStreamParser().feed(encode(message))

    assert read.type == "Genesis.Session.Started"
    data = json.loads(read.data)
    assert data["event_id"] == envelope["event_id"].lower()
    payload = envelope["payload"]
    if payload.get("content") is not None:
        assert data["payload"] == payload["content"]
    else:
        left = {key: payload[key] for key in payload if key in ("internal_x", "more")}
        left.pop("internal_x", None)
        assert data.get("payload", {}) == left
    assert set(data) <= {
        "event_id", "event_type", "session_id", "novel_id", "correlation_id", "trace_id", "timestamp",
        "payload", "_scope", "_version",
    }  # fmt: skip


@given(st.binary(max_size=200))
def test_no_input_whatever_raises(value: bytes) -> None:
    assert isinstance(EventFilter().decide(value), Event | Filtered | Rejected)


@given(st.data())
def test_no_damaged_envelope_raises_or_breaks_a_line(data: st.DataObject) -> None:
    value = bytearray(json.dumps(genesis(), indent=data.draw(st.sampled_from([None, 1]))).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(value) - 1))
        value[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))

    answer = EventFilter(["**"]).decide(bytes(value))

    note(type(answer).__name__)
    if isinstance(answer, Event):
        message = to_message(answer)
        assert json.loads(message.data)["event_id"] == answer.event_id
        assert not {b"\r", b"\n", b"\0"} & {bytes([byte]) for byte in message.data}
    if isinstance(answer, Rejected):
        assert answer.violations
        assert str(answer).isprintable()
        assert all(violation.got is None or len(violation.got) <= 80 for violation in answer.violations)
