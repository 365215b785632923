"""JSON lines become records with their session as key; lines that are none say why."""

import io

import pytest

from eventbridge.entrypoints.envelope_lines import MAX_LINE_BYTES, NoEnvelope, numbered_lines, session_of


async def lines_of(content: bytes) -> list[tuple[int, bytes | None]]:
    return [item async for item in numbered_lines(io.BytesIO(content))]


@pytest.mark.parametrize(
    "line",
    [
        b'{"aggregate_id": "s"}',
        b'{"aggregate_id": "other", "payload": {"session_id": "s"}}',
        b'{"aggregate_id": "s", "payload": {}}',
        b'{"aggregate_id": "s", "payload": 3}',
    ],
)
def test_the_session_is_the_payloads_else_the_aggregate(line: bytes) -> None:
    assert session_of(line) == "s"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"hello", "is not JSON"),
        (b"[1]", 'must be a JSON object, got "[1]"'),
        (b"\xff", "is not"),
        (b"{}", "names no session"),
        (b'{"aggregate_id": 3}', "names no session"),
        (b'{"aggregate_id": ""}', "names no session"),
        (b"[" * 100_000, "is not JSON"),
    ],
)
def test_a_line_that_is_no_envelope_says_why(line: bytes, why: str) -> None:
    with pytest.raises(NoEnvelope, match=why.replace("[", r"\[")):
        session_of(line)


async def test_lines_are_numbered_and_empty_ones_are_passed_over() -> None:
    assert await lines_of(b"a\n\n  \r\n b \r\nc") == [(1, b"a"), (4, b"b"), (5, b"c")]


async def test_a_line_that_is_too_long_is_named_and_the_next_one_is_read() -> None:
    long = b"x" * (MAX_LINE_BYTES + 1)

    assert await lines_of(b"a\n" + long + b"\nb\n" + long) == [(1, b"a"), (2, None), (3, b"b"), (4, None)]


async def test_a_line_of_just_the_longest_length_is_read() -> None:
    longest = b"x" * MAX_LINE_BYTES

    assert await lines_of(longest + b"\nb") == [(1, longest), (2, b"b")]
