"""How `eventbridge tail` writes a message, for people and for programs."""

import json

import pytest

from eventbridge.adapters.redis.history import StreamEntry
from eventbridge.domain.position import START, InvalidPosition, Position, StreamId
from eventbridge.entrypoints.tail import Beginning, beginning, columns, json_line

POSITION = Position("abcd1234", StreamId(1_700_000_000_123, 4))


def entry(data: bytes, timestamp: int | None = 1_700_000_000_123) -> StreamEntry:
    return StreamEntry(POSITION.id, START, timestamp, "Genesis.Session.Started", data, None)


def test_programs_get_one_object_a_line_with_the_pages_data_untouched() -> None:
    data = b'{"event_id":"e","n":1e400,"payload":{"title":"\xc3\xbc"}}'

    line = json_line(POSITION, entry(data))

    assert "\n" not in line
    assert data.decode() in line
    found = json.loads(line)
    assert (found["id"], found["event"], found["timestamp"]) == (
        "abcd1234.1700000000123-4",
        "Genesis.Session.Started",
        1_700_000_000_123,
    )
    assert found["data"]["payload"] == {"title": "ü"}


@pytest.mark.parametrize(
    ("data", "content"),
    [
        (b'{"payload":{"title":"T","n":[1, "\xc3\xbc"]}}', 'title=T  n=[1, "ü"]'),
        (b'{"payload":"text"}', "text"),
        (b'{"payload":3}', "3"),
        (b'{"payload_omitted":{"bytes":70000}}', 'payload_omitted={"bytes": 70000}'),
        (b'{"event_id":"e"}', ""),
        (b"no json", "no json"),
        (b"\xff", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_people_get_a_line_of_columns(data: bytes, content: str) -> None:
    line = columns()(POSITION, entry(data))

    time, position, event, *rest = line.split(maxsplit=3)
    assert time.endswith(".123")
    assert (position, event) == ("abcd1234.1700000000123-4", "Genesis.Session.Started")
    assert "".join(rest) == content


def test_content_cannot_move_the_cursor_of_a_terminal() -> None:
    hostile = "\\u001b[2J\\u0085\\r\\n\\u202e" + "\x7f\x9b"

    line = columns()(POSITION, entry(f'{{"payload":{{"title":"{hostile}"}}}}'.encode()))

    assert line.isprintable()


def test_a_message_without_a_timestamp_shows_when_it_was_appended() -> None:
    with_timestamp, without = (columns()(POSITION, entry(b"{}", at)) for at in (1_700_000_000_123, None))

    assert without == with_timestamp


def test_the_beginning_is_the_end_unless_something_else_is_said() -> None:
    assert beginning(None) is Beginning.END
    assert beginning("start") is Beginning.START
    assert beginning(str(POSITION)) == POSITION
    with pytest.raises(InvalidPosition):
        beginning("yesterday")
