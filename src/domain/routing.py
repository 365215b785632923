"""Whom a message is for, and where in Redis that target lives."""

import enum
import zlib
from typing import Final
from urllib.parse import quote

import msgspec

from .errors import EventBridgeError
from .identifiers import canonical_uuid

MAX_TARGET_BYTES: Final = 256
"""The longest id of a target, in bytes of UTF-8; percent-encoding makes at most three times as many."""


class EventScope(enum.StrEnum):
    """How far a message reaches; its value stands in the message as ``_scope``."""

    USER = "user"
    SESSION = "session"
    TOPIC = "topic"
    GLOBAL = "global"

    # The string's, as equality is: an enumeration's own is written in Python, and costs each event time.
    __hash__ = str.__hash__


class TargetError(EventBridgeError, ValueError):
    """An id that cannot name a target: empty, too long, or no Unicode text."""


class Target(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """One receiver of messages: a scope, and the id within it (for a user the canonical UUID)."""

    scope: EventScope
    id: str


def user(user_id: str) -> Target:
    """Return the target of one user; a UUID becomes lower case, as in keys and tokens.

    Raises TargetError where the id cannot name a target.
    """
    canonical = canonical_uuid(user_id)
    if canonical is None:
        _check(user_id)
        canonical = user_id
    return Target(EventScope.USER, canonical)


def shard_of(target_id: str, shards: int) -> int:
    """Return the shard of a target: CRC-32 of its id in UTF-8, modulo the number of shards.

    The id is taken as it is, so it must be the canonical one that a Target holds. Raises TargetError
    where it is no Unicode text.
    """
    try:
        return zlib.crc32(target_id.encode()) % shards
    except UnicodeEncodeError as error:
        raise _not_unicode(target_id) from error


def encode_target(target_id: str) -> str:
    """Return the id as it stands in a key: UUIDs in lower case, all others percent-encoded.

    Everything but the unreserved characters of RFC 3986 is encoded, so that ``a}x{b`` can neither
    change the slot of the key nor reach another target. Raises TargetError where the id is empty,
    longer than MAX_TARGET_BYTES, or no Unicode text.
    """
    canonical = canonical_uuid(target_id)
    if canonical is not None:
        return canonical
    _check(target_id)
    return quote(target_id, safe="")


def _check(target_id: str) -> None:
    if not target_id:
        raise TargetError("the id of a target must not be empty")
    try:
        size = len(target_id.encode())
    except UnicodeEncodeError as error:
        raise _not_unicode(target_id) from error
    if size > MAX_TARGET_BYTES:
        raise TargetError(f"the id of a target must be at most {MAX_TARGET_BYTES} bytes long, got {size}")


def _not_unicode(target_id: str) -> TargetError:
    return TargetError(f"the id of a target must be Unicode text, got {target_id[:80]!a}")
