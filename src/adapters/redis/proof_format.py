"""The value of `…/ts` in the hash of watermarks: which record shows that the log is still the same one.

`<ms>` is the timestamp of the record at the watermark, `<ms>@<offset>` that of the last record before it,
where the watermark's own offset holds none (a control record, compaction).
"""

import re

from ...domain.delivery import Mark

_PROOF = re.compile(rb"([0-9]{1,19})(?:@([0-9]{1,19}))?")

Proof = tuple[int | None, int | None]
"""The record's timestamp (ms), and its offset where that is not the watermark."""


def encode(mark: Mark) -> str:
    """What goes with the mark; empty where no record is known."""
    if mark.timestamp is None:
        return ""
    return str(mark.timestamp) if mark.proof is None else f"{mark.timestamp}@{mark.proof}"


def decode(value: bytes | None) -> Proof:
    """Read it; what is missing or malformed proves nothing."""
    found = _PROOF.fullmatch(value or b"")
    if not found:
        return None, None
    timestamp, offset = found.groups()
    return int(timestamp), None if offset is None else int(offset)
