"""What of an event a page gets to see."""

import json
from typing import Any

import pytest

from eventbridge.domain.event_filter import Event, EventFilter
from eventbridge.domain.message import EventScope, SSEMessage
from eventbridge.domain.trimming import MAX_OVERHEAD_BYTES, to_message
from eventbridge.domain.white_list import MAX_EVENT_TYPE_LENGTH
from tests.unit.domain.envelopes import (
    ABSENT,
    CORRELATION_ID,
    EVENT_ID,
    NOVEL_ID,
    SESSION_ID,
    TIMESTAMP,
    encoded,
    genesis,
)


def event_of(value: bytes, allow: str = "**") -> Event:
    event = EventFilter([allow]).decide(value)
    assert isinstance(event, Event), str(event)
    return event


def message_of(envelope: dict[str, Any], **options: Any) -> SSEMessage:
    return to_message(event_of(encoded(envelope)), **options)


def data_of(envelope: dict[str, Any], **options: Any) -> Any:
    return json.loads(message_of(envelope, **options).data)


def test_publisher_transforms_envelope_to_sse_message() -> None:
    message = message_of(genesis())

    assert message.event == "Genesis.Session.Theme.Proposed"
    assert (message.id, message.retry) == (None, None)
    assert (message.scope, message.version) == (EventScope.USER, "1.0")
    assert list(json.loads(message.data).items()) == [
        ("event_id", EVENT_ID),
        ("event_type", "Genesis.Session.Theme.Proposed"),
        ("session_id", SESSION_ID),
        ("novel_id", NOVEL_ID),
        ("correlation_id", CORRELATION_ID),
        ("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("timestamp", TIMESTAMP),
        ("payload", {"title": "Der Turm", "score": 0.5}),
        ("_scope", "user"),
        ("_version", "1.0"),
    ]


def test_publisher_trims_data_for_minimal_set() -> None:
    left_over = {"stage": "theme", "internal_prompt": "secret", "internal_": 1, "not_internal_": None}

    data = data_of(genesis(payload=left_over | {"content": ABSENT, "novel_id": ABSENT}, metadata=ABSENT))

    assert data == {
        "event_id": EVENT_ID,
        "event_type": "Genesis.Session.Theme.Proposed",
        "session_id": SESSION_ID,
        "correlation_id": CORRELATION_ID,
        "timestamp": TIMESTAMP,
        "payload": {"stage": "theme", "not_internal_": None},
        "_scope": "user",
        "_version": "1.0",
    }


@pytest.mark.parametrize("content", [0, False, "", [], {}, "text", [1, None], {"internal_note": 1}])
def test_any_content_but_null_is_shown_as_it_is(content: object) -> None:
    assert data_of(genesis(payload={"content": content, "stage": "theme"}))["payload"] == content


def test_content_that_is_null_counts_as_absent() -> None:
    value = encoded(genesis(payload={"content": "?", "stage": "theme"})).replace(b'"?"', b" \tnull \n")

    data = json.loads(to_message(event_of(value)).data)

    assert data["payload"] == {"stage": "theme"}


def test_a_payload_with_nothing_left_is_left_out() -> None:
    assert "payload" not in data_of(genesis(payload={"content": None}))


def test_an_internal_name_cannot_hide_behind_escapes() -> None:
    payload = {"content": ABSENT, "internal_prompt": ABSENT, "internal?x": 1, "stage": 2}
    value = encoded(genesis(payload=payload)).replace(b"internal?x", b"inte\\u0072nal\\u005fx")

    assert json.loads(to_message(event_of(value)).data)["payload"] == {"stage": 2}


def test_ids_leave_in_lower_case_and_texts_escaped() -> None:
    envelope = genesis(
        payload={"session_id": SESSION_ID.upper(), "novel_id": NOVEL_ID.upper()},
        event_id=EVENT_ID.upper(),
        correlation_id=CORRELATION_ID.upper(),
        metadata={"trace_id": 'a"\\\r\n\0\u2028ö'},
    )

    message = message_of(envelope)

    data = json.loads(message.data)
    assert (data["event_id"], data["session_id"]) == (EVENT_ID, SESSION_ID)
    assert (data["correlation_id"], data["novel_id"]) == (CORRELATION_ID, NOVEL_ID)
    assert data["trace_id"] == 'a"\\\r\n\0\u2028ö'
    assert not {b"\r", b"\n", b"\0"} & {bytes([byte]) for byte in message.data}


@pytest.mark.parametrize("line_break", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("with_content", [True, False])
def test_line_breaks_of_the_producer_do_not_reach_the_page(line_break: str, with_content: bool) -> None:
    shown = {"text": "a\r\nb \\n", "list": [1, {"x": None}]}
    payload = {"content": shown if with_content else ABSENT, "internal_prompt": ABSENT}
    envelope = genesis(payload=payload | ({} if with_content else shown))
    value = json.dumps(envelope, indent=2).replace("\n", line_break).encode()

    message = to_message(event_of(value))

    assert b"\n" not in message.data
    assert b"\r" not in message.data
    assert json.loads(message.data)["payload"] == shown


@pytest.mark.parametrize(
    "number", [b"1e400", b"-1E+400", b"9" * 5000, b"18446744073709551616", b"1.10", b"-0", b"0.1e-999"]
)
@pytest.mark.parametrize("line_break", [b"", b"\n"])
def test_numbers_are_carried_as_they_were_written(number: bytes, line_break: bytes) -> None:
    value = encoded(genesis(payload={"content": {"n": "?"}})).replace(b'"?"', number + line_break)

    message = to_message(event_of(value))

    assert b'"payload":{"n":%b}' % number in message.data.replace(b": ", b":")


@pytest.mark.parametrize("with_content", [True, False])
def test_a_message_over_the_limit_is_sent_without_its_payload(with_content: bool) -> None:
    payload = {"content": "x" * 998 if with_content else ABSENT, "internal_prompt": ABSENT}
    envelope = genesis(payload=payload | ({} if with_content else {"k": "x" * 992}))
    size = len(message_of(envelope).data)

    whole = message_of(envelope, max_bytes=size)
    cut = message_of(envelope, max_bytes=size - 1)

    assert "payload" in json.loads(whole.data)
    data = json.loads(cut.data)
    assert "payload" not in data
    assert data["payload_omitted"] == {"bytes": 1000}
    assert list(data)[-3:] == ["payload_omitted", "_scope", "_version"]


def test_the_default_limit_is_64_kibibytes() -> None:
    assert "payload" in data_of(genesis(payload={"content": "x" * 64_000}))
    assert "payload_omitted" in data_of(genesis(payload={"content": "x" * 65_536}))


@pytest.mark.parametrize("character", ["\x01", "\u2028", "😀"])
def test_without_its_payload_no_message_is_over_the_smallest_limit(character: str) -> None:
    envelope = genesis(
        event_type="x" * MAX_EVENT_TYPE_LENGTH,
        payload={"content": "x" * 900_000, "timestamp": "2026-03-14T15:09:26.535897932+00:00"},
        metadata={"trace_id": character * 128},
    )

    message = message_of(envelope)

    assert "payload_omitted" in json.loads(message.data)
    assert len(message.data) < MAX_OVERHEAD_BYTES
