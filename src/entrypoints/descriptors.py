"""How many connections the operating system lets this process hold."""

import logging
import resource

RESERVED = 64
"""Descriptors for everything but streams: Redis, logs, probes, the listeners."""

log = logging.getLogger(__name__)


def allow_connections(wanted: int) -> int:
    """Raise the soft limit of open files as far as is needed and allowed; answers what is left for streams.

    `wanted` 0 is as many as possible. Says so in the log where it is fewer than wanted.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + RESERVED if wanted else hard
    if hard == resource.RLIM_INFINITY:
        target = max(soft, needed) if wanted else soft
    else:
        target = max(soft, min(hard, needed))
    if target != soft:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
        except (ValueError, OSError):  # a sandbox, such as systemd's `SystemCallFilter=~@resources`
            target = soft
    room = target - RESERVED
    if wanted > room:
        log.warning(
            "the limit of open files (%d) leaves room for %d of gateway.max_connections = %d",
            target,
            room,
            wanted,
        )
    return room
