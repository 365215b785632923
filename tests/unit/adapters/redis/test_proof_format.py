"""The text beside a watermark that tells the log from another one."""

import pytest

from eventbridge.adapters.redis import proof_format
from eventbridge.domain.delivery import Mark, Partition

P = Partition("orders", 0)


@pytest.mark.parametrize(
    ("mark", "text"),
    [
        (Mark(P, 4, 9), ""),
        (Mark(P, 4, 9, 0), "0"),
        (Mark(P, 4, 9, 1_700_000_000_123), "1700000000123"),
        (Mark(P, 4, 9, 1_700_000_000_123, proof=7), "1700000000123@7"),
        (Mark(P, 4, 9, 5, proof=0), "5@0"),
    ],
)
def test_a_known_record_comes_back_as_it_went(mark: Mark, text: str) -> None:
    assert proof_format.encode(mark) == text
    assert proof_format.decode(text.encode()) == (mark.timestamp, mark.proof)


@pytest.mark.parametrize(
    "value",
    [None, b"", b"@", b"5@", b"@5", b"5@-1", b"-5", b" 5", b"5\n", b"1_0", b"5@6@7", b"\xff", b"9" * 5000],
)
def test_what_is_missing_or_malformed_proves_nothing(value: bytes | None) -> None:
    assert proof_format.decode(value) == (None, None)
