"""Live messages are read as they were written, and nothing else is taken for one."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbridge.adapters.redis.live_format import UnreadableLiveMessage, decode, encode
from eventbridge.application.gateway_ports import LiveCopies, LiveCopy

copies = st.lists(st.builds(LiveCopy, *[st.text()] * len(LiveCopy._fields)))
messages = st.builds(LiveCopies, epoch=st.text(), copies=copies)


@given(message=messages)
def test_a_message_is_read_as_it_was_written(message: LiveCopies) -> None:
    assert decode(encode(message)) == message


@given(message=messages, data=st.data())
def test_a_message_that_was_cut_is_unreadable(message: LiveCopies, data: st.DataObject) -> None:
    whole = encode(message)
    length = data.draw(st.integers(0, len(whole) - 1))

    with pytest.raises(UnreadableLiveMessage):
        decode(whole[:length])


@given(noise=st.binary())
def test_noise_is_unreadable_or_a_message_but_no_other_error(noise: bytes) -> None:
    try:
        decode(noise)
    except UnreadableLiveMessage:
        return


@pytest.mark.parametrize(
    "parts",
    [[], [1], [2, "epoch"], ["1", "epoch"], [1, 5], [1, "epoch", "target"], {1: 2}, 1],
)
def test_other_versions_and_shapes_are_unreadable(parts: object) -> None:
    with pytest.raises(UnreadableLiveMessage):
        decode(msgspec.msgpack.encode(parts))
