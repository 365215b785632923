"""Bad and odd JSON: what becomes of each, wherever it stands. The outcome is part of the contract."""

import json

import pytest

from eventbridge.domain.event_filter import Event, EventFilter, Filtered, Rejected, RejectionReason
from eventbridge.domain.trimming import to_message
from tests.unit.domain.envelopes import SESSION_ID, USER_ID, encoded, genesis

DEEP = 2_000
DEEPER = 100_000


def in_content(piece: bytes) -> bytes:
    """Return a good record with a piece of JSON as the content."""
    return encoded(genesis(payload={"content": "?"})).replace(b'"?"', piece)


def in_skipped_field(piece: bytes) -> bytes:
    """Return a good record with a piece of JSON in a field that nobody reads."""
    return encoded(genesis(causation_id="?")).replace(b'"?"', piece)


def in_filtered_record(piece: bytes) -> bytes:
    return b'{"event_type":"Billing.Invoice.Paid","x":' + piece + b"}"


REFUSED_ANYWHERE = [
    pytest.param(b"[" * DEEP + b"]" * DEEP, RejectionReason.TOO_DEEP, id="depth 2 000"),
    pytest.param(b"[" * DEEPER + b"]" * DEEPER, RejectionReason.TOO_DEEP, id="depth 100 000"),
    pytest.param(b'{"a":' * DEEP + b"1" + b"}" * DEEP, RejectionReason.TOO_DEEP, id="objects, depth 2 000"),
    pytest.param(b"NaN", RejectionReason.NOT_JSON, id="NaN"),
    pytest.param(b"Infinity", RejectionReason.NOT_JSON, id="Infinity"),
    pytest.param(b"\xef\xbb\xbf1", RejectionReason.NOT_JSON, id="BOM inside"),
    pytest.param(b'"\xff"', RejectionReason.NOT_UTF8, id="0xff"),
    pytest.param(b'{"\xff":1}', RejectionReason.NOT_UTF8, id="0xff in a key"),
    pytest.param(b'"\xed\xa0\x80"', RejectionReason.NOT_UTF8, id="surrogate in UTF-8"),
    pytest.param(b'"\xc0\x80"', RejectionReason.NOT_UTF8, id="overlong NUL"),
    pytest.param(b'"\\ud800"', RejectionReason.NOT_JSON, id="lone high surrogate"),
    pytest.param(b'"\\udc00"', RejectionReason.NOT_JSON, id="lone low surrogate"),
    pytest.param(b'"\\ud800\\u0041"', RejectionReason.NOT_JSON, id="half a pair"),
    pytest.param(b'{"\\ud800":1}', RejectionReason.NOT_JSON, id="lone surrogate in a key"),
    pytest.param(b'"a\nb"', RejectionReason.NOT_JSON, id="line break in a string"),
    pytest.param(b'"a\0b"', RejectionReason.NOT_JSON, id="NUL in a string"),
    pytest.param(b"'a'", RejectionReason.NOT_JSON, id="single quotes"),
    pytest.param(b'"\\x41"', RejectionReason.NOT_JSON, id="unknown escape"),
    pytest.param(b"[1,]", RejectionReason.NOT_JSON, id="trailing comma"),
    pytest.param(b"01", RejectionReason.NOT_JSON, id="leading zero"),
    pytest.param(b"", RejectionReason.NOT_JSON, id="no value"),
]


@pytest.mark.parametrize("place", [in_content, in_skipped_field, in_filtered_record])
@pytest.mark.parametrize(("piece", "reason"), REFUSED_ANYWHERE)
def test_what_is_not_json_is_rejected_wherever_it_stands(place, piece, reason) -> None:  # type: ignore[no-untyped-def]  # a table's row
    answer = EventFilter().decide(place(piece))

    assert isinstance(answer, Rejected)
    assert answer.reason is reason
    assert answer.fields == ("record",)


CARRIED = [
    pytest.param(b"1e400", id="1e400"),
    pytest.param(b"9" * 5000, id="5 000 digits"),
    pytest.param(b"18446744073709551616", id="2^64"),
    pytest.param(b'{"a":1,"a":2}', id="duplicate keys"),
    pytest.param(b'"\\ud83d\\ude00"', id="surrogate pair"),
    pytest.param('"\u2028😀"'.encode(), id="U+2028"),
    pytest.param(b'"\\u0000\\r\\n"', id="escaped control characters"),
    pytest.param(b"[" * 200 + b"]" * 200, id="depth 200"),
]


@pytest.mark.parametrize("piece", CARRIED)
def test_what_is_json_is_carried_byte_for_byte(piece: bytes) -> None:
    event = EventFilter().decide(in_content(piece))

    assert isinstance(event, Event)
    assert b'"payload":' + piece + b',"_scope"' in to_message(event).data


@pytest.mark.parametrize("piece", CARRIED)
def test_what_is_json_does_not_matter_where_nobody_looks(piece: bytes) -> None:
    assert isinstance(EventFilter().decide(in_skipped_field(piece)), Event)
    assert isinstance(EventFilter().decide(in_filtered_record(piece)), Filtered)


@pytest.mark.parametrize("number", [b"1e400", b"9" * 5000, b"18446744073709551616"])
def test_a_number_of_any_size_is_no_uuid(number: bytes) -> None:
    value = encoded(genesis(event_id="?", payload={"user_id": "?"})).replace(b'"?"', number)

    answer = EventFilter().decide(value)

    assert isinstance(answer, Rejected)
    assert answer.reason is RejectionReason.INVALID_FIELD
    assert answer.fields == ("event_id", "payload.user_id")
    assert answer.violations[0].got in (number.decode(), "9" * 79 + "…")


@pytest.mark.parametrize(
    ("value", "reason", "message"),
    [
        (None, "tombstone", "the record must not be a tombstone (a record without a value)"),
        (b"", "not_json", "the record must be JSON: input data was truncated"),
        (b" \n", "not_json", "the record must be JSON: input data was truncated, got ` \\n`"),
        (b"null", "not_object", "the record must be a JSON object, got `null`"),
        (b"5", "not_object", "the record must be a JSON object, got `5`"),
        (b' "text"\n', "not_object", 'the record must be a JSON object, got `"text"`'),
        (b"[{}]", "not_object", "the record must be a JSON object, got `[{}]`"),
        (b"1e400", "not_object", "the record must be a JSON object, got `1e400`"),
        (b"\xef\xbb\xbf{}", "not_json",
         "the record must be JSON: invalid character (byte 0), got `\\ufeff{}`"),
        (b"\xff", "not_utf8", "the record must be UTF-8: invalid start byte (byte 0)"),
        (b"\x00\x01\x02binary", "not_json",
         "the record must be JSON: invalid character (byte 0), got `\\x00\\x01\\x02binary`"),
        (b"{} {}", "not_json", "the record must be JSON: trailing characters (byte 4), got `{} {}`"),
        (b'{"event_type":', "not_json",
         'the record must be JSON: input data was truncated, got `{"event_type":`'),
        (b"[1,NaN]", "not_json", "the record must be JSON: invalid character (byte 3), got `[1,NaN]`"),
        (b'"a', "not_json", 'the record must be JSON: input data was truncated, got `"a`'),
        (b"[" * DEEPER, "too_deep", "the record must not be nested this deeply"),
    ],
)  # fmt: skip
def test_a_record_that_is_no_object_is_rejected_in_words(
    value: bytes | None, reason: str, message: str
) -> None:
    answer = EventFilter().decide(value)

    assert isinstance(answer, Rejected)
    assert (answer.reason.value, str(answer)) == (reason, message)


def test_the_last_of_duplicate_keys_counts() -> None:
    good = encoded(genesis())[1:-1].decode()
    other = "00000000-0000-4000-8000-000000000001"
    value = f'{{"event_type":"Other","event_id":42,{good},"aggregate_id":"{other}"}}'.replace(
        '"payload": {', f'"payload": {{"user_id":"{other}","session_id":[],'
    )

    event = EventFilter().decide(value.encode())

    assert isinstance(event, Event)
    assert (event.user_id, event.session_id) == (USER_ID, SESSION_ID)


def test_keys_may_be_written_with_escapes() -> None:
    value = encoded(genesis()).replace(b'"novel_id"', b'"novel\\u005fid"')

    assert EventFilter().decide(value) == EventFilter().decide(encoded(genesis()))


def test_a_document_full_of_brackets_is_no_deep_one() -> None:
    wide = json.dumps([[[]] for _ in range(20_000)]).encode()

    assert isinstance(EventFilter().decide(in_content(wide)), Event)
