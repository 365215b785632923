"""What the bridge's Redis user must be allowed, and which of it a server refuses."""

from collections.abc import Sequence

from redis.exceptions import ResponseError

from .errors import MISCONFIGURED, classify, code_of
from .link import Link
from .settings import Durability

RULES = (
    "~eb:* &eb:* +hello +info +client|setname +script|load +evalsha "
    "+hget +hset +hsetnx +hmget +hgetall +hdel +hrandfield +xadd +xlen +xrevrange +pexpire +time "
    "+publish +wait"
)
"""ACL rules of a user for the bridge alone, on one server or under Sentinels (not yet `+select` for a
database other than 0, nor `+waitaof`)."""

CLUSTER_RULES = f"{RULES} +spublish +cluster|slots +command +asking"
"""The same for a Cluster."""

READER_RULES = (
    "%R~eb:* +hello +client|setname +hget +hmget +hgetall +xrange +xrevrange +xread +multi +exec +time"
)
"""ACL rules of a user for `tail` alone; Redis 6.2 has no `%R~`, there it is `~`."""

GATEWAY_RULES = (
    "%R~eb:{* %R~eb:layout %R~eb:gw:revoked:* ~eb:gw:lease:* ~eb:gw:ticket:* &eb:{*}:live &eb:gw:control "
    "+hello +ping +client|setname +hgetall +hmget +xrange +xrevrange +xlen +time +multi +exec "
    "+subscribe +unsubscribe +eval +zadd +zcard +zscore +zrem +zremrangebyscore +pexpire +set +getdel +exists"
)
"""ACL rules of a user for the gateway alone: reads streams, writes leases and tickets."""

GATEWAY_CLUSTER_RULES = f"{GATEWAY_RULES} +ssubscribe +sunsubscribe +info +cluster|slots +command +asking"
"""The same for a Cluster."""

REVOKER_RULES = "~eb:gw:revoked:* &eb:gw:control +hello +client|setname +set +publish"
"""ACL rules of a user for `revoke` alone."""

_HASH = "eb:{0}:check"
_STREAM = "eb:{0}:check-stream"
_CHANNEL = "eb:{0}:check"


async def refused(link: Link, durability: Durability, *, sharded_channels: bool) -> Sequence[str]:
    """Try what the bridge does, on two keys that live for a second; answers a sentence per refusal.

    Writes only if it may make its keys expire. Raises like `Link.call`.
    """
    [expiry] = await link.call(_HASH, ("PEXPIRE", _HASH, 1000))
    if isinstance(expiry, ResponseError):
        return [_sentence(("PEXPIRE", _HASH), expiry)]
    commands: list[tuple[str | int, ...]] = [
        ("HSET", _HASH, "field", "1"),
        ("HSETNX", _HASH, "field", "1"),
        ("PEXPIRE", _HASH, 1000),
        ("HGET", _HASH, "field"),
        ("HMGET", _HASH, "field"),
        ("HGETALL", _HASH),
        ("HRANDFIELD", _HASH, 1, "WITHVALUES"),
        ("HDEL", _HASH, "field"),
        ("XADD", _STREAM, "*", "field", "1"),
        ("PEXPIRE", _STREAM, 1000),
        ("XLEN", _STREAM),
        ("XREVRANGE", _STREAM, "+", "-", "COUNT", 1),
        ("TIME",),
        ("SPUBLISH" if sharded_channels else "PUBLISH", _CHANNEL, ""),
        ("SCRIPT", "LOAD", "return 0"),
        ("EVALSHA", "0" * 40, 1, _HASH),
    ]
    if durability is Durability.REPLICA:
        commands.append(("WAIT", 0, 1))
    if durability is Durability.DISK:
        commands.append(("WAITAOF", 0, 0, 1))
    replies = await link.call(_HASH, *commands)
    return [
        _sentence(command, reply)
        for command, reply in zip(commands, replies, strict=True)
        if isinstance(reply, ResponseError) and code_of(reply) != "NOSCRIPT"
    ]


def _sentence(command: tuple[str | int, ...], refusal: ResponseError) -> str:
    name = "SCRIPT LOAD" if command[0] == "SCRIPT" else str(command[0])
    on = f" on {command[1]}" if len(command) > 1 and str(command[1]).startswith("eb:") else ""
    meaning = classify(refusal)
    if meaning.reason == MISCONFIGURED["NOPERM"]:
        return f"{name}{on} is not allowed"
    return f"{name}{on} fails: {refusal}"
