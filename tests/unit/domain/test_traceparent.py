import pytest

from eventbridge.domain.traceparent import sampled, valid

IDS = b"4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"


@pytest.mark.parametrize("flags", [b"00", b"01", b"02", b"03", b"ff"])
def test_a_header_of_version_00_is_carried_on_unchanged(flags: bytes) -> None:
    header = b"00-" + IDS + b"-" + flags

    assert valid(header) == header.decode()


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"00",
        b"00-" + IDS,
        b"00-" + IDS + b"-1",
        b"00-" + IDS + b"-01 ",
        b"00-" + IDS + b"-01-what-comes-later",
        b" 00-" + IDS + b"-01",
        b"ff-" + IDS + b"-01",
        b"0g-" + IDS + b"-01",
        b"00_" + IDS + b"-01",
        b"00-" + IDS.upper() + b"-01",
        b"00-" + IDS + b"-0G",
        b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-" + b"0" * 16 + b"-01",
        b"01-" + IDS + b"-01x",
        "00-４bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".encode(),
        b"\xff" * 55,
        b"1" * 1_000_000,
    ],
)
def test_a_header_that_breaks_the_grammar_counts_as_absent(header: bytes | None) -> None:
    assert valid(header) is None
    assert sampled(header) is None


@pytest.mark.parametrize(("flags", "expected"), [(b"01", "01"), (b"00", "00"), (b"ff", "01"), (b"fe", "00")])
def test_of_a_version_to_come_the_known_part_is_carried_on_as_version_00(flags: bytes, expected: str) -> None:
    header = b"cc-" + IDS + b"-" + flags + b"-" + b"new" * 10_000

    assert valid(header) == f"00-{IDS.decode()}-{expected}"


@pytest.mark.parametrize(
    ("flags", "is_sampled"), [(b"01", True), (b"03", True), (b"ab", True), (b"00", False), (b"02", False)]
)
def test_the_lowest_bit_of_the_flags_says_whether_the_sender_sampled(flags: bytes, is_sampled: bool) -> None:
    header = b"00-" + IDS + b"-" + flags

    assert sampled(header) == (header.decode() if is_sampled else None)
