"""The names of all keys and channels (DELIVERY.md 3): public, other programs may read them."""

from urllib.parse import quote

from ...domain.delivery import Partition
from ...domain.routing import Target, encode_target

LAYOUT = "eb:layout"
"""Hash: `version`, `shards`, `hash`; written once, never expires."""

CONTROL = "eb:gw:control"
"""Channel on which gateways are told what was revoked."""


def watermarks(shard: int) -> str:
    """Hash: `<source>/<topic>/<partition>` → last applied offset, and `…/ts` → `proof_format`."""
    return f"eb:{{{shard}}}:wm"


def meta(shard: int) -> str:
    """Hash: `epoch`, and `since`: when it began, in ms of the server's clock."""
    return f"eb:{{{shard}}}:meta"


def tails(shard: int) -> str:
    """Hash: `user:<id>` → the id of the last entry in that target's stream, for whoever appends the next."""
    return f"eb:{{{shard}}}:tails"


def live(shard: int) -> str:
    """Channel of the live copies (`live_format`)."""
    return f"eb:{{{shard}}}:live"


def stream(shard: int, target: Target) -> str:
    """The target's stream. Raises `TargetError` where the id cannot name one."""
    return f"eb:{{{shard}}}:{target_name(target)}"


def target_name(target: Target) -> str:
    """How a target is called in keys and live copies: `user:<id>`, percent-encoded where it is no UUID."""
    return f"{target.scope.value}:{encode_target(target.id)}"


def watermark_field(source: str, partition: Partition) -> str:
    """The field of one partition in the hash of watermarks."""
    return f"{source}/{partition.topic}/{partition.number}"


def timestamp_field(source: str, partition: Partition) -> str:
    """The field beside it with the timestamp of the last record known up to there (`proof_format`)."""
    return f"{watermark_field(source, partition)}/ts"


def lease(user_id: str) -> str:
    """Sorted set: a user's open streams → the end of their leases, ms of the server's clock."""
    return f"eb:gw:lease:{encode_target(user_id)}"


def ticket(digest: str) -> str:
    """String: whom the ticket with this SHA-256, in hexadecimal, was issued to."""
    return f"eb:gw:ticket:{digest}"


def revoked_user(user_id: str) -> str:
    """String: there while the user may not read. Raises `TargetError`."""
    return f"eb:gw:revoked:user:{encode_target(user_id)}"


def revoked_token(token_id: str) -> str:
    """String: there while the token with this `jti`, percent-encoded here, is not accepted."""
    return f"eb:gw:revoked:jti:{quote(token_id, safe='', errors='surrogatepass')}"
