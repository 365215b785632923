"""What each of Redis' refusals means (PITFALLS.md 1.3): one row, one test."""

import ssl
from collections.abc import Callable

import pytest
from redis import exceptions
from redis._parsers.base import BaseParser

from eventbridge.adapters.redis.errors import FOREIGN, classify
from eventbridge.application.errors import SinkMisconfigured, SinkUnavailable


def reply(text: str) -> Exception:
    """What redis-py makes of an error reply."""
    parse: Callable[[str], Exception] = BaseParser.parse_error
    return parse(text)


def no_node(cause: Exception) -> Exception:
    error = exceptions.RedisClusterException("Redis Cluster cannot be connected.")
    error.__cause__ = cause
    return error


def refused_certificate() -> Exception:
    error = exceptions.ConnectionError("Error 1 connecting to h:1. certificate verify failed.")
    error.__cause__ = ssl.SSLCertVerificationError("certificate verify failed")
    return error


UNAVAILABLE = [
    (exceptions.ConnectionError("Error 111 connecting to h:1."), "connection"),
    (ConnectionResetError("reset"), "connection"),
    (exceptions.MaxConnectionsError("Too many connections"), "connection"),
    (reply("ERR max number of clients reached"), "connection"),
    (exceptions.TimeoutError("Timeout reading"), "timeout"),
    (TimeoutError(), "timeout"),
    (reply("LOADING Redis is loading the dataset in memory"), "loading"),
    (reply("READONLY You can't write against a read only replica."), "read_only"),
    (reply("MASTERDOWN Link with MASTER is down"), "primary_down"),
    (reply("CLUSTERDOWN The cluster is down"), "cluster_down"),
    (exceptions.SlotNotCoveredError("slot 5"), "cluster_down"),
    (reply("TRYAGAIN Multiple keys request during rehashing of slot"), "slot_moving"),
    (reply("NOREPLICAS Not enough good replicas to write."), "replicas_missing"),
    (reply("MISCONF Redis is configured to save RDB snapshots, but"), "not_persisting"),
    (reply("OOM allow-oom flag is not set on the script, can not run it"), "out_of_memory"),
    (
        reply(
            "ERR Error running script (call to f_ab): @user_script:9: @user_script: 9: "
            "-OOM command not allowed when used memory > 'maxmemory'."
        ),
        "out_of_memory",
    ),
    (reply("BUSY Redis is busy running a script."), "busy"),
    (reply("UNBLOCKED force unblock from blocking operation"), "failover"),
    (exceptions.RedisClusterException("Redis Cluster cannot be connected."), "connection"),
    (reply("ERR something new"), "unexpected"),
]

MISCONFIGURED = [
    (reply("NOAUTH Authentication required."), "authentication"),
    (reply("WRONGPASS invalid username-password pair or user is disabled."), "authentication"),
    (reply("ERR invalid password"), "authentication"),
    (reply("NOPERM this user has no permissions to run the 'evalsha' command"), "rights"),
    (reply("ERR The user executing the script can't access at least one of the keys mentioned"), "rights"),
    (
        reply("ERR The user executing the script can't run this command or subcommand script: ab"),
        "rights",
    ),
    (reply("ERR The user executing the script can't publish to the channel mentioned"), "rights"),
    (reply("ERR unknown command 'EVALSHA', with args beginning with: "), "unknown_command"),
    (reply("ERR Unknown Redis command called from script"), "unknown_command"),
    (reply("WRONGTYPE Operation against a key holding the wrong kind of value"), "wrong_type"),
    (reply("MOVED 866 h:7001"), "cluster"),
    (reply("CROSSSLOT Keys in request don't hash to the same slot"), "cluster"),
    (exceptions.RedisClusterException("Cluster mode is not enabled on this node"), "cluster"),
    (reply("NOPROTO unsupported protocol version"), "version"),
    (reply("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."), "durability"),
    (refused_certificate(), "certificate"),
    (no_node(reply("WRONGPASS invalid username-password pair")), "authentication"),
]


@pytest.mark.parametrize(("error", "reason"), UNAVAILABLE, ids=lambda each: str(each)[:40])
def test_redis_cannot_be_written_now(error: Exception, reason: str) -> None:
    assert isinstance(error, FOREIGN)

    meaning = classify(error)

    assert isinstance(meaning, SinkUnavailable)
    assert meaning.reason == reason


@pytest.mark.parametrize(("error", "reason"), MISCONFIGURED, ids=lambda each: str(each)[:40])
def test_an_operator_has_to_mend_something(error: Exception, reason: str) -> None:
    assert isinstance(error, FOREIGN)

    meaning = classify(error)

    assert isinstance(meaning, SinkMisconfigured)
    assert meaning.reason == reason
