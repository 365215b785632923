"""The records that are measured with: the same ones for the same number, about 1.1 KB each."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator, Sequence
from typing import NamedTuple

USERS = 10_000
PARTITIONS = 4
ACCEPTED_SHARE, FILTERED_SHARE = 0.75, 0.20
"""What is left of 1 is rejected."""

_SEED = 20_261_123
_TEXTS = 64
_TEXT_CHARACTERS = 370

_SHOWN = (
    "Genesis.Session.Started",
    "Genesis.Session.Theme.Proposed",
    "Genesis.Session.Theme.Confirmed",
    "Genesis.Session.World.Setting.Updated",
    "Genesis.Session.StageCompleted",
)
_HIDDEN = ("Genesis.Session.Internal.Audited", "Billing.Invoice.Issued", "Genesis.Prompt.Rendered")

_WORDS = (
    *("the", "of", "and", "a", "to", "in", "he", "was", "that", "it", "his", "her", "with", "as", "had"),
    *("river", "lantern", "harbour", "quiet", "winter", "letter", "garden", "mountain", "promise"),
)

_ENVELOPE = (
    '{"event_id":"%s","event_type":"%s","aggregate_id":"%s","aggregate_type":"GenesisSession",'
    '"correlation_id":"%s","causation_id":"%s","metadata":{"trace_id":"%032x","service":"genesis"},'
    '"created_at":"2026-11-23T10:00:00.000000Z","payload":{"user_id":"%s","session_id":"%s",'
    '"novel_id":"%s","timestamp":"2026-11-23T10:00:00.000000Z","internal_cost":%d,"content":%s}}'
)


class Made(NamedTuple):
    """One record before it is produced."""

    key: bytes
    value: bytes
    headers: list[tuple[str, str | bytes | None]]


class Expected(NamedTuple):
    """What a relay must make of the first `count` records."""

    accepted: int
    filtered: int
    rejected: int


def records(count: int, first: int = 0) -> Iterator[Made]:
    """Yield the records from number `first` on.

    Of each hundred in a row the same numbers are accepted, filtered and rejected, in a fixed order that
    looks like chance.
    """
    chance = random.Random(_SEED)  # noqa: S311 - wanted: the same records each time
    users = [(_uuid(chance), _uuid(chance), _uuid(chance)) for _ in range(USERS)]
    contents = [_content(chance) for _ in range(_TEXTS)]
    kinds = _kinds()
    chance.seed(_SEED + first)
    for number in range(first, first + count):
        user, session, novel = users[chance.randrange(USERS)]
        kind = kinds[number % len(kinds)]
        event_type = (_HIDDEN if kind == "filtered" else _SHOWN)[number % (3 if kind == "filtered" else 5)]
        high, low = chance.getrandbits(64), chance.getrandbits(64)
        event_id = _uuid_of(high, low)
        shown_to = "somebody" if kind == "rejected" else user
        value = _ENVELOPE % (
            event_id,
            event_type,
            session,
            session,
            event_id,
            high,
            shown_to,
            session,
            novel,
            number,
            contents[number % _TEXTS],
        )
        traceparent = b"00-%016x%016x-%016x-00" % (high, low, high ^ low)
        yield Made(session.encode(), value.encode(), [("traceparent", traceparent)])


def expected(count: int) -> Expected:
    """Return what is in the first `count` records; a multiple of 100 has the shares exactly."""
    kinds = _kinds()
    whole, rest = divmod(count, len(kinds))
    counted = {kind: whole * kinds.count(kind) + kinds[:rest].count(kind) for kind in set(kinds)}
    return Expected(counted["accepted"], counted["filtered"], counted["rejected"])


def _kinds() -> Sequence[str]:
    accepted, filtered = round(100 * ACCEPTED_SHARE), round(100 * FILTERED_SHARE)
    kinds = ["accepted"] * accepted + ["filtered"] * filtered + ["rejected"] * (100 - accepted - filtered)
    random.Random(_SEED).shuffle(kinds)  # noqa: S311 - as above
    return kinds


def _content(chance: random.Random) -> str:
    text = ""
    while len(text) < _TEXT_CHARACTERS:
        text += chance.choice(_WORDS) + " "
    stages = {"stage": chance.randrange(9), "progress": chance.random(), "options": ["keep", "rewrite"]}
    return json.dumps({"text": text.strip(), **stages}, separators=(",", ":"))


def _uuid_of(high: int, low: int) -> str:
    """Return a UUID of 128 bits, with less ado than the library's class."""
    return (
        f"{high >> 32:08x}-{high >> 16 & 0xFFFF:04x}-4{high & 0xFFF:03x}"
        f"-8{low >> 52:03x}-{low & 0xFFFF_FFFF_FFFF:012x}"
    )


def _uuid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))
