"""Which records become events, and what is said of those that do not."""

import json
from typing import Any

import msgspec
import pytest

from eventbridge.domain.event_filter import (
    Event,
    EventFilter,
    Filtered,
    PatternError,
    Rejected,
    RejectionReason,
    Violation,
)
from tests.unit.domain.envelopes import (
    ABSENT,
    CORRELATION_ID,
    EVENT_ID,
    NOVEL_ID,
    SESSION_ID,
    TIMESTAMP,
    USER_ID,
    encoded,
    genesis,
)

OTHER_ID = "00000000-0000-4000-8000-00000000ABCD"


def accepted(envelope: Any, **headers: bytes) -> Event:
    event = EventFilter().decide(encoded(envelope), **headers)
    assert isinstance(event, Event), str(event)
    return event


def rejected(envelope: Any, **headers: bytes) -> Rejected:
    rejection = EventFilter().decide(encoded(envelope), **headers)
    assert isinstance(rejection, Rejected), repr(rejection)
    return rejection


def test_event_filter_validates_genesis_events() -> None:
    event = EventFilter().decide(encoded(genesis()))

    assert event == Event(
        event_id=EVENT_ID,
        event_type="Genesis.Session.Theme.Proposed",
        session_id=SESSION_ID,
        user_id=USER_ID,
        correlation_id=CORRELATION_ID,
        timestamp=TIMESTAMP,
        novel_id=NOVEL_ID,
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        content=b'{"title": "Der Turm", "score": 0.5}',
        payload=None,
    )


@pytest.mark.parametrize(
    "event_type",
    [
        "Genesis.Session.Theme.Requested",
        "Genesis.Chapter.Started",
        "Billing.Invoice.Paid",
        "genesis.session.started",
        "",
        "no dots and\r\nspaces \0",
    ],
)
def test_event_filter_rejects_non_genesis_events(event_type: str) -> None:
    well_formed = genesis(event_type=event_type)
    without_anything_else = {"event_type": event_type, "payload": 5, "event_id": {}}

    for envelope in (well_formed, without_anything_else):
        assert EventFilter().decide(encoded(envelope)) == Filtered(event_type, "not_allowed")


def test_event_filter_validates_required_fields() -> None:
    rejection = rejected({"event_type": "Genesis.Session.Started"})

    assert rejection.reason is RejectionReason.MISSING_FIELD
    assert rejection.messages == (
        "missing required field `event_id`",
        "missing required field `aggregate_id`",
        "missing required field `correlation_id`",
        "missing required field `payload`",
        "missing required field `payload.user_id`",
        "missing required field `payload.timestamp`",
    )
    assert str(rejection) == "; ".join(rejection.messages)


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"event_type": ABSENT}, "event_type"),
        ({"event_id": ABSENT}, "event_id"),
        ({"aggregate_id": ABSENT}, "aggregate_id"),
        ({"correlation_id": ABSENT}, "correlation_id"),
        ({"payload": {"user_id": ABSENT}}, "payload.user_id"),
        ({"payload": {"timestamp": ABSENT}, "created_at": ABSENT}, "payload.timestamp"),
    ],
)
@pytest.mark.parametrize("absence", [ABSENT, None])
def test_names_each_missing_field_and_null_counts_as_absent(
    changes: dict[str, Any], missing: str, absence: object
) -> None:
    rejection = rejected(genesis(**_with(changes, absence)))

    assert rejection.violations == (Violation(missing),)
    assert str(rejection) == f"missing required field `{missing}`"
    assert rejection.reason is RejectionReason.MISSING_FIELD


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"event_id": "42"}, '`event_id` must be a UUID, got `"42"`'),
        ({"event_id": 42}, "`event_id` must be a UUID, got `42`"),
        ({"aggregate_id": ""}, '`aggregate_id` must be a UUID, got `""`'),
        ({"correlation_id": [1]}, "`correlation_id` must be a UUID, got `[1]`"),
        ({"event_type": 7}, "`event_type` must be a dotted name of letters, digits, `_` and `-`, "
                            "at most 255 characters, got `7`"),
        ({"event_type": "Genesis.Session.a b.Updated"},
         "`event_type` must be a dotted name of letters, digits, `_` and `-`, "
         'at most 255 characters, got `"Genesis.Session.a b.Updated"`'),
        ({"metadata": "x"}, '`metadata` must be an object, got `"x"`'),
        ({"metadata": {"trace_id": 1}},
         "`metadata.trace_id` must be a string of at most 128 characters, got `1`"),
        ({"metadata": {"trace_id": "x" * 129}},
         f'`metadata.trace_id` must be a string of at most 128 characters, got `"{"x" * 78}…`'),
        ({"payload": {"user_id": "a}x{b"}}, '`payload.user_id` must be a UUID, got `"a}x{b"`'),
        ({"payload": {"user_id": "x" * 10_000}},
         f'`payload.user_id` must be a UUID, got `"{"x" * 78}…`'),
        ({"payload": {"user_id": f"{USER_ID}\r\n"}},
         f'`payload.user_id` must be a UUID, got `"{USER_ID}\\r\\n"`'),
        ({"payload": {"user_id": 5}}, "`payload.user_id` must be a UUID, got `5`"),
        ({"payload": {"session_id": ""}}, '`payload.session_id` must be a UUID, got `""`'),
        ({"payload": {"novel_id": True}}, "`payload.novel_id` must be a UUID, got `true`"),
        ({"payload": {"timestamp": 1.5}},
         "`payload.timestamp` must be an ISO 8601 time with an offset from UTC, got `1.5`"),
        ({"payload": {"timestamp": ABSENT}, "created_at": "today"},
         '`created_at` must be an ISO 8601 time with an offset from UTC, got `"today"`'),
    ],
)  # fmt: skip
def test_names_the_field_the_rule_and_the_value(changes: dict[str, Any], message: str) -> None:
    rejection = rejected(genesis(**changes))

    assert rejection.messages == (message,)
    assert rejection.reason is RejectionReason.INVALID_FIELD


def test_every_violation_is_in_one_answer() -> None:
    rejection = rejected(
        genesis(
            event_id="1", aggregate_id=2, correlation_id=None, metadata={"trace_id": 3},
            payload={"user_id": None, "session_id": "4", "timestamp": "5", "novel_id": "6"},
        )
    )  # fmt: skip

    assert rejection.fields == (
        "event_id",
        "aggregate_id",
        "correlation_id",
        "metadata.trace_id",
        "payload.user_id",
        "payload.session_id",
        "payload.timestamp",
        "payload.novel_id",
    )
    assert rejection.reason is RejectionReason.INVALID_FIELD


def test_a_type_that_is_no_string_is_rejected_with_all_else_that_is_wrong() -> None:
    rejection = rejected(genesis(event_type=None, event_id="1"))

    assert rejection.fields == ("event_type", "event_id")


def test_a_payload_that_is_no_object_is_named_with_what_it_lacks() -> None:
    rejection = rejected(genesis(payload=[1]))

    assert rejection.messages[0] == "`payload` must be an object, got `[1]`"
    assert rejection.fields == ("payload", "payload.user_id")


def test_a_rejection_knows_the_ids_that_are_right() -> None:
    rejection = rejected(genesis(event_id=EVENT_ID.upper(), payload={"user_id": 1}))

    assert rejection.event_type == "Genesis.Session.Theme.Proposed"
    assert (rejection.event_id, rejection.session_id) == (EVENT_ID, SESSION_ID)
    assert rejection.correlation_id == CORRELATION_ID


def test_quoted_input_is_cut_and_escaped() -> None:
    rejection = EventFilter().decide(
        json.dumps(genesis(event_id="\u202eabc\x7f\u2028" + "ö" * 100), ensure_ascii=False).encode()
    )

    assert isinstance(rejection, Rejected)
    got = rejection.violations[0].got
    assert got is not None
    assert got.startswith('"\\u202eabc\\x7f\\u2028ööö')
    assert len(got) == 80
    assert got.isprintable()


def test_session_and_time_fall_back_to_the_envelopes_own() -> None:
    event = accepted(genesis(payload={"session_id": None, "timestamp": ABSENT}, aggregate_id=OTHER_ID))

    assert event.session_id == OTHER_ID.lower()
    assert event.timestamp == "2026-03-14T15:09:27Z"


def test_session_and_time_of_the_payload_come_first() -> None:
    event = accepted(genesis(aggregate_id=OTHER_ID, created_at={"not": "looked at"}))

    assert event.session_id == SESSION_ID
    assert event.timestamp == TIMESTAMP


@pytest.mark.parametrize("in_body", [ABSENT, None])
def test_the_correlation_id_is_taken_from_the_header_where_the_body_has_none(in_body: object) -> None:
    event = accepted(genesis(correlation_id=in_body), correlation_id=OTHER_ID.encode())

    assert event.correlation_id == OTHER_ID.lower()


def test_the_correlation_id_of_the_body_comes_first() -> None:
    event = accepted(genesis(), correlation_id=b"\xff not looked at")

    assert event.correlation_id == CORRELATION_ID


@pytest.mark.parametrize(
    ("header", "quote"),
    [
        (b"", '""'),
        (b"42", '"42"'),
        (b"\xff\r\n", r'"\xff\r\n"'),
        (CORRELATION_ID.replace("-", "").encode(), f'"{CORRELATION_ID.replace("-", "")}"'),
        (b"x" * 10_000, '"' + "x" * 78 + "…"),
    ],
)
def test_a_wrong_header_is_a_violation(header: bytes, quote: str) -> None:
    rejection = rejected(genesis(correlation_id=None), correlation_id=header)

    assert rejection.messages == (f"`headers.correlation_id` must be a UUID, got `{quote}`",)


@pytest.mark.parametrize(
    "not_a_uuid",
    [
        "{" + EVENT_ID + "}",
        "urn:uuid:" + EVENT_ID,
        EVENT_ID.replace("-", ""),
        EVENT_ID + " ",
        EVENT_ID.replace("-", "_"),
        EVENT_ID[:-1] + "g",
        EVENT_ID[:-1] + "\N{FULLWIDTH DIGIT ONE}",
        EVENT_ID[:-1] + "\N{CYRILLIC SMALL LETTER A}",
        EVENT_ID + " " + EVENT_ID,
    ],
)
@pytest.mark.parametrize("name", ["event_id", "aggregate_id", "correlation_id"])
def test_a_uuid_has_one_form(name: str, not_a_uuid: str) -> None:
    assert rejected(genesis(**{name: not_a_uuid})).fields == (name,)


def test_two_uuids_in_one_field_do_not_make_up_for_an_empty_one() -> None:
    rejection = rejected(genesis(event_id=f"{EVENT_ID} {SESSION_ID}", aggregate_id=""))

    assert rejection.fields == ("event_id", "aggregate_id")


@pytest.mark.parametrize(
    "timestamp",
    [
        "2026-03-14T15:09:26.535897+00:00",
        "2026-03-14T15:09:26Z",
        "2026-03-14T15:09:26.5Z",
        "2026-03-14T15:09:26.535897932-23:59",
        "2026-03-14T15:09Z",
        "2024-02-29T23:59:59+05:30",
    ],
)
def test_times_with_an_offset_from_utc_are_carried_as_sent(timestamp: str) -> None:
    assert accepted(genesis(payload={"timestamp": timestamp})).timestamp == timestamp


@pytest.mark.parametrize(
    "timestamp",
    [
        "2026-03-14T15:09:26",
        "2026-03-14",
        "2026-03-14T15:09:26.Z",
        "2026-03-14 15:09:26Z",
        "2026-03-14T15:09:26z",
        "2026-03-14T15:09:26+24:00",
        "2026-03-14T15:09:26+05:30:15",
        "2026-03-14T15:09:26+0100",
        "2026-03-14T24:00:00Z",
        "2026-03-14T15:09:60Z",
        "2026-02-29T15:09:26Z",
        "0000-01-01T00:00:00Z",
        "20260314T150926Z",
        "2026-W11-6T15:09:26Z",
        "2026-03-14T15:09:26Z\n",
        "\N{FULLWIDTH DIGIT TWO}026-03-14T15:09:26Z",
        "1773500966",
        "",
    ],
)
def test_other_times_are_refused(timestamp: str) -> None:
    assert rejected(genesis(payload={"timestamp": timestamp})).fields == ("payload.timestamp",)


def test_fields_without_a_rule_may_be_anything() -> None:
    assert accepted(genesis(aggregate_type=5, causation_id=[None], host="?", metadata={"trace_id": None}))


def test_a_record_over_the_limit_is_refused_before_it_is_read() -> None:
    value = encoded(genesis())
    beside = EventFilter(max_record_bytes=len(value))

    rejection = beside.decide(value + b" ")

    assert isinstance(beside.decide(value), Event)
    assert isinstance(rejection, Rejected)
    assert rejection.reason is RejectionReason.TOO_LARGE
    assert str(rejection) == f"the record must be at most {len(value)} bytes, got `{len(value) + 1}`"
    assert beside.decide(b"\xff" * (len(value) + 1)) == rejection


def test_the_default_limit_is_one_mebibyte() -> None:
    rejection = EventFilter().decide(b" " * 1_048_577)

    assert isinstance(rejection, Rejected)
    assert rejection.reason is RejectionReason.TOO_LARGE


def test_own_patterns_replace_the_default_ones() -> None:
    billing = EventFilter(["Billing.*.Paid"])

    assert isinstance(billing.decide(encoded(genesis(event_type="Billing.Invoice.Paid"))), Event)
    assert isinstance(billing.decide(encoded(genesis())), Filtered)


def test_a_wrong_pattern_is_an_error_at_once() -> None:
    with pytest.raises(PatternError) as raised:
        EventFilter(["Genesis.**.Started", "Genesis.*x"])

    assert raised.value.position == 8


def test_a_type_is_judged_alike_the_first_time_and_after_many_others() -> None:
    chosen = EventFilter()
    types = ["Genesis.Session.Started", "Genesis.Session.a b.Updated", "X"]
    cases = [encoded(genesis(event_type=event_type)) for event_type in types]
    first = [chosen.decide(case) for case in cases]

    for number in range(3000):
        chosen.decide(b'{"event_type":"Other.%d"}' % number)

    assert [chosen.decide(case) for case in cases] == first == [chosen.decide(case) for case in cases]


def test_what_was_filtered_is_remembered_within_bounds() -> None:
    chosen = EventFilter()

    for number in range(5000):
        chosen.decide(b'{"event_type":"Other.%d"}' % number)
    answer = chosen.decide(encoded({"event_type": "x" * 100_000}))

    assert answer == Filtered("x" * 255)
    assert len(chosen._remembered) <= 1024


def test_the_answers_are_values() -> None:
    event = accepted(genesis())

    with pytest.raises(AttributeError):
        event.user_id = "someone else"  # type: ignore[misc]  # the point of the test
    assert hash(Filtered("a")) == hash(Filtered("a"))
    assert isinstance(event, msgspec.Struct)


def _with(changes: dict[str, Any], absence: object) -> dict[str, Any]:
    return {
        name: _with(value, absence) if isinstance(value, dict) else absence for name, value in changes.items()
    }
