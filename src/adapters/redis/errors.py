"""What Redis' and its client's errors mean for the bridge: the one table (DELIVERY.md 4.9).

NOSCRIPT, MOVED and ASK do not reach it: they are answered at once, where the call is made.
"""

import re
import ssl

from redis import exceptions as redis_exceptions
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ExternalAuthProviderError,
    RedisClusterException,
    RedisError,
    ResponseError,
    SlotNotCoveredError,
)

from ...application.errors import SinkMisconfigured, SinkUnavailable

Foreign = RedisError | RedisClusterException | OSError
"""What redis-py and a call's time-out raise; `FOREIGN` is the same for `except`."""

FOREIGN = (RedisError, RedisClusterException, OSError)

UNAVAILABLE = {
    "LOADING": "loading",
    "READONLY": "read_only",
    "MASTERDOWN": "primary_down",
    "CLUSTERDOWN": "cluster_down",
    "TRYAGAIN": "slot_moving",
    "NOREPLICAS": "replicas_missing",
    "MISCONF": "not_persisting",
    "OOM": "out_of_memory",
    "BUSY": "busy",
    "UNBLOCKED": "failover",
}
"""Redis' word → ours: Redis cannot be written now. Counts against the breaker."""

MISCONFIGURED = {
    "NOAUTH": "authentication",
    "WRONGPASS": "authentication",
    "NOPERM": "rights",
    "NOPROTO": "version",
    "WRONGTYPE": "wrong_type",
    "CROSSSLOT": "cluster",
    "MOVED": "cluster",
    "ASK": "cluster",
}
"""Redis' word → ours: an operator has to mend something. MOVED gets here only where a Cluster's node is
addressed as if it were alone, WRONGTYPE only from our own hashes (a stream's is `Bad`)."""

_MESSAGES = (
    ("unknown command", "unknown_command"),
    ("Unknown Redis command", "unknown_command"),
    ("The user executing the script can't", "rights"),
    ("WAITAOF cannot be used", "durability"),
    ("without any password configured", "authentication"),
    ("Cluster mode is not enabled", "cluster"),
    ("DB index is out of range", "database"),
)
"""Refusals that have no word of their own but `ERR`."""

_KINDS: tuple[tuple[tuple[type[BaseException], ...], type[SinkUnavailable | SinkMisconfigured], str], ...] = (
    ((TimeoutError, redis_exceptions.TimeoutError), SinkUnavailable, "timeout"),
    (
        (AuthenticationError, AuthorizationError, ExternalAuthProviderError),
        SinkMisconfigured,
        "authentication",
    ),
    ((BusyLoadingError,), SinkUnavailable, "loading"),
    ((SlotNotCoveredError,), SinkUnavailable, "cluster_down"),
)
"""What is known by its class: redis-py makes connection errors of some refusals."""

_CODE = re.compile(r"(?:^|[\s:])-?([A-Z]{3,})(?= )")


def classify(error: Foreign) -> SinkUnavailable | SinkMisconfigured:
    """Say what an error means. The text of the answer holds Redis' own, and never an address' password."""
    for kinds, meaning, reason in _KINDS:
        if isinstance(error, kinds):
            return meaning(reason, str(error))
    if _is_certificate_refused(error):
        return SinkMisconfigured("certificate", str(error))
    if isinstance(error, ResponseError | RedisClusterException):
        return _refusal(error)
    return SinkUnavailable("connection", str(error))


def code_of(error: Exception) -> str:
    """Redis' word for a refusal (`OOM`, `WRONGTYPE`, …), `ERR` where it has none.

    Redis 6.2 wraps what a script ran into: `ERR Error running script (…): @user_script:5: -OOM command …`.
    """
    status: str | None = getattr(error, "status_code", None)
    if status and status != "ERR":
        return status
    for match in _CODE.finditer(str(error)):
        if match[1] in UNAVAILABLE or match[1] in MISCONFIGURED or match[1] == "NOSCRIPT":
            return match[1]
    return "ERR"


def _refusal(error: Exception) -> SinkUnavailable | SinkMisconfigured:
    text, code = str(error), code_of(error)
    if code in UNAVAILABLE:
        return SinkUnavailable(UNAVAILABLE[code], text)
    if code in MISCONFIGURED:
        return SinkMisconfigured(MISCONFIGURED[code], f"{code} {text.removeprefix(code).lstrip()}")
    for part, reason in _MESSAGES:
        if part in text:
            return SinkMisconfigured(reason, text)
    if isinstance(error, RedisClusterException):
        # No node of the Cluster let us in: the last one's reason is the cause.
        cause = error.__cause__
        return classify(cause) if isinstance(cause, FOREIGN) else SinkUnavailable("connection", text)
    return SinkUnavailable("unexpected", text)


def _is_certificate_refused(error: BaseException | None) -> bool:
    seen = 0
    while error is not None and seen < 5:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False
