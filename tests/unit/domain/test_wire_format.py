"""The bytes on the wire, as a parser of the HTML standard reads them."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eventbridge.domain import wire_format
from eventbridge.domain.message import SSEMessage
from eventbridge.domain.position import Position, StreamId
from eventbridge.domain.wire_format import WireFormatError
from tests.unit.domain.sse_parser import Dispatched, EventStreamParser

LINES = st.lists(
    st.sampled_from(
        [
            "\r",
            "\n",
            "\r\n",
            " ",
            ":",
            "\0",
            "\u2028",
            "\x85",
            "\x0b",
            "\ufeff",
            "data: ",
            "id: x",
            "event",
            "ö",
        ]
    )
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
).map("".join)
ONE_LINE = LINES.map(lambda text: re.sub("[\r\n\0]", "", text))


def test_writes_event_id_retry_and_data_in_this_form() -> None:
    message = SSEMessage(event="Genesis.Session.Started", id="abcdefgh.1-0", retry=1500, data=b'{"a":1}')

    wire = wire_format.encode(message)

    assert wire == b'event: Genesis.Session.Started\nid: abcdefgh.1-0\nretry: 1500\ndata: {"a":1}\n\n'


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        pytest.param(b"", b"data: ", id="empty"),
        pytest.param(b" a", b"data:  a", id="leading space"),
        pytest.param(b"a\nb", b"data: a\ndata: b", id="LF"),
        pytest.param(b"a\rb", b"data: a\ndata: b", id="CR"),
        pytest.param(b"a\r\nb", b"data: a\ndata: b", id="CRLF"),
        pytest.param(b"a\n\nb\n", b"data: a\ndata: \ndata: b\ndata: ", id="empty lines"),
        pytest.param("a\u2028b\x85\x0b\0".encode(), "data: a\u2028b\x85\x0b\0".encode(), id="no line breaks"),
        pytest.param(b"x" * 1_000_000, b"data: " + b"x" * 1_000_000, id="1 MB"),
    ],
)
def test_splits_data_at_the_three_line_breaks_of_the_standard(data: bytes, lines: bytes) -> None:
    wire = wire_format.encode(SSEMessage(event="", data=data))

    assert wire == lines + b"\n\n"


@pytest.mark.parametrize("field", ["event", "id"])
@pytest.mark.parametrize("bad", ["a\rb", "a\nb", "a\r\ndata: evil", "a\0b", "\n", "a\n"])
def test_refuses_line_breaks_and_nul_in_event_and_id(field: str, bad: str) -> None:
    fields = {"event": "e", "id": "i"} | {field: bad}

    with pytest.raises(WireFormatError, match=f"^`{field}` must not contain CR, LF or NUL, got '"):
        wire_format.encode(SSEMessage(data=b"{}", **fields))  # type: ignore[arg-type]  # only text fields


@pytest.mark.parametrize("bad", ["a\rb", "a\nb", "a\0b"])
def test_refuses_line_breaks_and_nul_in_a_bare_position(bad: str) -> None:
    with pytest.raises(WireFormatError):
        wire_format.cursor(bad)


@pytest.mark.parametrize("field", ["event", "id"])
def test_refuses_text_that_has_no_utf8_form(field: str) -> None:
    fields = {"event": "e", "id": "i"} | {field: "\ud800"}

    with pytest.raises(WireFormatError, match="Unicode text"):
        wire_format.encode(SSEMessage(data=b"{}", **fields))  # type: ignore[arg-type]  # only text fields


def test_refuses_a_negative_retry() -> None:
    with pytest.raises(WireFormatError, match="`retry` must not be negative, got -1"):
        wire_format.encode(SSEMessage(event="e", data=b"{}", retry=-1))


@given(event=ONE_LINE, position=st.none() | ONE_LINE, data=LINES, retry=st.none() | st.integers(0, 10**9))
@example(event="e", position="i", data="\n", retry=None)
@example(event=" e", position=" i", data=" \r \r\n ", retry=0)
@example(event="\ufeffe", position="", data="\ufeff", retry=None)
def test_a_page_reads_back_what_was_written(
    event: str, position: str | None, data: str, retry: int | None
) -> None:
    message = SSEMessage(event=event, id=position, data=data.encode(), retry=retry)
    parser = EventStreamParser()

    events = parser.feed(b": ok\n\n" + wire_format.encode(message) + wire_format.encode(message))

    as_read = Dispatched(event or "message", re.sub("\r\n|\r", "\n", data), position or "")
    assert events == [as_read, as_read]
    assert parser.reconnection_time == retry


def test_a_bare_position_moves_the_cursor_and_fires_nothing() -> None:
    parser = EventStreamParser()

    events = parser.feed(wire_format.cursor("abcdefgh.7-0"))

    assert events == []
    assert parser.last_event_id == "abcdefgh.7-0"


@given(LINES)
def test_a_comment_is_never_seen_by_the_page(text: str) -> None:
    parser = EventStreamParser()

    events = parser.feed(b": ok\n\n" + wire_format.comment(text))

    assert events == []
    assert (parser.last_event_id, parser.reconnection_time) == ("", None)


def test_refuses_a_comment_that_has_no_utf8_form() -> None:
    with pytest.raises(WireFormatError, match="Unicode text"):
        wire_format.comment("\ud800")


@given(event=ONE_LINE, data=LINES, ms=st.integers(0, 2**64 - 1), sequence=st.integers(0))
def test_an_entry_is_written_as_the_message_that_it_is(event: str, data: str, ms: int, sequence: int) -> None:
    at = Position("abcdefgh", StreamId(ms, sequence))

    wire = wire_format.entry(at.epoch, str(at.id), event, data)

    assert wire == wire_format.encode(SSEMessage(event=event, data=data.encode(), id=str(at)))


@pytest.mark.parametrize(
    ("epoch", "event"), [("abc\ndata: x", "E"), ("abcdefgh", "E\ndata: x"), ("a\0", "E")]
)
def test_an_entry_cannot_begin_another_field(epoch: str, event: str) -> None:
    for _ in range(2):
        with pytest.raises(WireFormatError):
            wire_format.entry(epoch, "1-1", event, "{}")
