"""What the benchmarks' clients read: what is not exactly their events is found, however it arrives cut."""

from array import array
from collections.abc import Iterable

import pytest

from benchmarks.gateway.events import DATA_BYTES, EVENT_TYPE, Reading, WrongStream, data, users

HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: ok\n\nretry: 2000\n\nid: abcdefgh.1-1\n\n"
)
NOW = 10_000_000_000


def event(number: int, at: int = 0) -> bytes:
    return b"event: %b\nid: abcdefgh.2-%d\ndata: %b\n\n" % (EVENT_TYPE.encode(), number, data(at, number))


def chunked(*blocks: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(block), block) for block in blocks)


def read(chunks: Iterable[bytes], reading: Reading | None = None) -> tuple[Reading, list[int]]:
    reading = reading or Reading()
    times = array("q")
    for chunk in chunks:
        reading.take(chunk, NOW, times)
    return reading, times.tolist()


def test_an_events_data_are_as_long_as_is_said() -> None:
    assert len(data(NOW, 1)) == DATA_BYTES
    assert len(data(10**18, 10**9 - 1)) == DATA_BYTES


def test_users_are_others_and_the_same_each_time() -> None:
    assert len(set(users(1_000))) == 1_000
    assert users(10) == users(1_000)[:10]


@pytest.mark.parametrize("framed", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 799, 10_000])
def test_events_are_counted_and_timed_wherever_their_bytes_are_cut(size: int, framed: bool) -> None:
    blocks = [event(1, at=NOW - 300), b": hb\n\n", event(2, at=NOW - 200) + event(3, at=NOW - 100)]
    stream = HEAD + (chunked(*blocks) if framed else b"".join(blocks))

    reading, times = read(stream[at : at + size] for at in range(0, len(stream), size))

    assert times == [NOW - 300, 300, NOW - 200, 200, NOW - 100, 100]
    assert (reading.begun, reading.number, reading.position) == (True, 3, "abcdefgh.2-3")


def test_what_is_cut_counts_once_it_is_whole() -> None:
    stream = HEAD + event(1)

    reading, times = read([stream[:-1]])

    assert (times, reading.number, reading.position) == ([], 0, "abcdefgh.1-1")
    assert read([b"\n"], reading)[0].position == "abcdefgh.2-1"


def test_a_stream_has_begun_with_its_first_block() -> None:
    head, _, _ = HEAD.partition(b"\n\n")

    reading, _ = read([head])

    assert not reading.begun
    assert read([b"\n\n"], reading)[0].begun


def test_a_bare_id_moves_the_position() -> None:
    reading, _ = read([HEAD, event(1), b": hb\n\nid: abcdefgh.9-9\n\n"])

    assert reading.position == "abcdefgh.9-9"


def test_a_client_that_comes_back_goes_on_with_its_next_event() -> None:
    reading, _ = read([HEAD, event(6)], Reading(5, "abcdefgh.2-5"))

    assert reading.number == 6


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        ([2], "event 2 came after 0"),
        ([1, 3], "event 3 came after 1"),
        ([1, 2, 2], "event 2 came after 2"),
        ([1, 2, 1], "event 1 came after 2"),
        ([1, 3, 2], "event 3 came after 1"),
    ],
)
@pytest.mark.parametrize("together", [False, True])
def test_a_missing_a_repeated_or_an_early_event_is_found(
    numbers: list[int], why: str, together: bool
) -> None:
    blocks = [HEAD, *map(event, numbers)]

    with pytest.raises(WrongStream, match=why):
        read([b"".join(blocks)] if together else blocks)


@pytest.mark.parametrize("cut", range(1, 13))
def test_a_reset_is_found(cut: int) -> None:
    block = b'event: reset\nid: abcdefgh.3-3\ndata: {"reason":"epoch"}\n\n'

    with pytest.raises(WrongStream, match="reset"):
        read([HEAD, event(1), block[:cut], block[cut:]])


@pytest.mark.parametrize("answer", [b"HTTP/1.1 503 Service Unavailable\r\n\r\n{}", b"HTTP/1.0 200", b"\0\0"])
@pytest.mark.parametrize("size", [1, 1_000])
def test_another_status_is_found_at_once(answer: bytes, size: int) -> None:
    with pytest.raises(WrongStream, match="the answer begins with"):
        read(answer[at : at + size] for at in range(0, len(answer), size))
