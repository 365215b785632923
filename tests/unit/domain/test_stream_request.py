"""Where a stream begins: the header wins over the URL, hostile cursors are a reset, wrong URLs are 400."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbridge.domain.continuity import ResetReason
from eventbridge.domain.position import Position, StreamId
from eventbridge.domain.problem import BadRequest
from eventbridge.domain.request_parts import parse_query
from eventbridge.domain.stream_request import StreamRequest, stream_request

NEW = "0a1b2c3d.1732000000000-7"
OLD = "0a1b2c3d.1731000000000-0"
CURSOR = Position("0a1b2c3d", StreamId(1732000000000, 7))
USER = "3f2b8c1e-0000-4000-8000-00000000000a"


def asked(header: str | bytes | None = None, query: str = "", *, names_user: bool = False) -> StreamRequest:
    value = header.encode() if isinstance(header, str) else header
    headers = [] if value is None else [(b"last-event-id", value)]
    return stream_request(headers, parse_query(query.encode()), replay_limit=1000, names_user=names_user)


@pytest.mark.parametrize(
    ("header", "query", "expected"),
    [
        (None, "", StreamRequest()),
        (NEW, "", StreamRequest(cursor=CURSOR)),
        (None, f"last_event_id={NEW}", StreamRequest(cursor=CURSOR)),
        (None, "last_event_id=", StreamRequest()),
        (None, "last=0", StreamRequest(last=0)),
        (None, "last=1000", StreamRequest(last=1000)),
        (None, "last_event_id=&last=3", StreamRequest(last=3)),
        (None, "event=message", StreamRequest(as_message=True)),
        (None, "lastEventId=x&_=1732", StreamRequest()),
        # The header is newer than the URL.
        (NEW, f"last_event_id={OLD}&event=message", StreamRequest(cursor=CURSOR, as_message=True)),
        (NEW, "last=5", StreamRequest(cursor=CURSOR)),
        ("", "last=5", StreamRequest(last=5)),
        ("rubbish", f"last_event_id={NEW}", StreamRequest(reset=ResetReason.INVALID)),
        ("rubbish", "last=5", StreamRequest(reset=ResetReason.INVALID)),
    ],
)
def test_a_request_is_understood(header: str | None, query: str, expected: StreamRequest) -> None:
    assert asked(header, query) == expected


@pytest.mark.parametrize(
    "cursor",
    [
        "1732000000000-7",
        "0a1b2c3d",
        "0a1b2c3d.",
        "0a1b2c3d.-1-0",
        "0a1b2c3d.1-0 ",
        "0a1b2c3d.01-0",
        "0a1b2c3d.99999999999999999999-99999999999999999999",
        "0A1B2C3D.1-0",
        "0a1b2c3d.$",
        "0a1b2c3d.+",
        "}x{.1-0",
        "0a1b2c3d.1-0\r\nevent: x",
        "0a1b2c3d.١-٠",
        "x" * 129,
        "9" * 100_000,
    ],
)
def test_a_cursor_that_is_none_is_a_reset(cursor: str) -> None:
    expected = StreamRequest(reset=ResetReason.INVALID)

    in_header = stream_request([(b"last-event-id", cursor.encode() + b"\x00")], {}, replay_limit=1000)
    in_url = stream_request([], {"last_event_id": [cursor]}, replay_limit=1000)

    assert (in_header, in_url) == (expected, expected)


def test_a_repeated_header_is_a_reset() -> None:
    headers = [(b"last-event-id", NEW.encode()), (b"last-event-id", OLD.encode())]

    assert stream_request(headers, {}, replay_limit=1).reset is ResetReason.INVALID


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("last=-1", "last"),
        ("last=1001", "last"),
        ("last=", "last"),
        ("last=1e3", "last"),
        ("last=%D9%A1", "last"),
        ("last=" + "9" * 5000, "last"),
        ("last=1&last=1", "last"),
        (f"last=1&last_event_id={NEW}", "last"),
        ("last_event_id=a&last_event_id=b", "last_event_id"),
        ("event=update", "event"),
        ("event=", "event"),
        (f"user={USER}", "user"),
    ],
)
@pytest.mark.parametrize("header", [None, NEW])
def test_a_wrong_url_is_told_by_parameter_on_each_connect(
    query: str, parameter: str, header: str | None
) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(header, query)

    assert refused.value.problem.status == 400
    assert refused.value.problem.parameter == parameter
    assert f"`{parameter}`" in refused.value.problem.detail


def test_the_user_is_named_where_nobody_checks() -> None:
    assert asked(None, f"user={USER.upper()}", names_user=True).user_id == USER


@pytest.mark.parametrize("query", ["", "user=", "user=42", "user=a%7Dx%7Bb", f"user={USER}&user={USER}"])
def test_there_a_user_who_is_none_is_refused(query: str) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(None, query, names_user=True)

    assert refused.value.problem.parameter == "user"


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_request_is_understood_or_refused_and_says_one_thing(header: bytes, raw: bytes) -> None:
    try:
        request = stream_request([(b"last-event-id", header)], parse_query(raw), replay_limit=1000)
    except BadRequest:
        return

    assert [request.cursor, request.reset, request.last].count(None) >= 2


@given(st.from_regex(r"[0-9a-z]{8}\.[0-9]{1,20}-[0-9]{1,20}", fullmatch=True))
def test_a_cursor_is_taken_exactly_as_it_was_given_out(text: str) -> None:
    request = asked(text)

    assert request.reset is ResetReason.INVALID or str(request.cursor) == text
