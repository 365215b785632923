"""Positions are written and read in exactly one way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbridge.domain.position import START, InvalidPosition, Position, StreamId

numbers = st.integers(0, 2**64 - 1)
epochs = st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=8, max_size=8)


@given(epoch=epochs, ms=numbers, sequence=numbers)
def test_a_position_is_read_as_it_was_written(epoch: str, ms: int, sequence: int) -> None:
    position = Position(epoch, StreamId(ms, sequence))

    assert Position.parse(str(position)) == position


@given(text=st.text() | st.from_regex(r"[0-9a-z]{7,9}\.[0-9+ _-]{0,30}", fullmatch=True))
def test_what_is_read_is_what_would_be_written(text: str) -> None:
    try:
        position = Position.parse(text)
    except InvalidPosition:
        return

    assert str(position) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "0-0",
        "abcdefgh",
        "abcdefgh.",
        "abcdefgh.1",
        "abcdefgh.1-",
        "abcdefgh.-1-0",
        "abcdefgh.01-0",
        "abcdefgh.1-00",
        "abcdefgh.1-0 ",
        "abcdefgh.1-0\n",
        " abcdefgh.1-0",
        "abcdefgh.1-0.2",
        "ABCDEFGH.1-0",
        "abcdefg.1-0",
        "abcdefghi.1-0",
        "abcdefgh.18446744073709551616-0",
        "abcdefgh.0-18446744073709551616",
        "abcdefgh.99999999999999999999-1",
        "abcdefgh.١-0",
        "abcdefgh.+",
        "abcdefgh.$",
        "x" * 1_000_000,
    ],
)
def test_whatever_else_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(InvalidPosition) as refusal:
        Position.parse(text)

    assert len(str(refusal.value)) < 120


def test_ids_compare_as_their_entries_follow_each_other() -> None:
    assert START < StreamId(0, 1) < StreamId(9, 2**64 - 1) < StreamId(10, 0)


@pytest.mark.parametrize(
    ("identity", "below"),
    [("5-1", "5-0"), ("5-0", "4-18446744073709551615"), ("0-1", "0-0"), ("0-0", "0-0")],
)
def test_the_id_just_below(identity: str, below: str) -> None:
    assert str(StreamId.parse(identity).before()) == below
