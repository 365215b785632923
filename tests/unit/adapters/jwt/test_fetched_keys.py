"""Keys are fetched beside the work: rotated, bounded, kept while the issuer is away, with pauses."""

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from jwt.algorithms import ECAlgorithm

from eventbridge.adapters.jwt.bounded_fetch import FetchFailed, fetch
from eventbridge.adapters.jwt.key_rings import MAX_SET_BYTES, MAX_UNKNOWN, FetchedKeys
from eventbridge.adapters.jwt.keys import MAX_KEYS, UnusableKey, keys_of
from eventbridge.adapters.jwt.settings import JwtSettings
from eventbridge.adapters.jwt.tokens import JwtTokens
from eventbridge.adapters.memory.clock import ManualClock
from eventbridge.application.cause_log import CauseLog
from eventbridge.application.errors import KeysUnavailable, Unauthorized
from tests.unit.adapters.jwt import issuer
from tests.unit.adapters.jwt.issuer import AUDIENCE, USER, KeySetServer, jwk, serving, token

ALGORITHMS = ("RS256", "ES256", "EdDSA")


@pytest.fixture
def server() -> Iterator[KeySetServer]:
    with serving(KeySetServer(jwk(issuer.RSA, "one"))) as server:
        yield server


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def ring(server: KeySetServer, clock: ManualClock, **settings: float) -> FetchedKeys:
    causes = CauseLog(logging.getLogger("test.jwks"), clock)
    return FetchedKeys(server.url, ALGORITHMS, clock, causes, **settings)


def verifier(keys: FetchedKeys, server: KeySetServer) -> JwtTokens:
    return JwtTokens(JwtSettings(AUDIENCE, ALGORITHMS, jwks_url=server.url), keys)


async def test_before_the_first_set_nobody_can_say_whether_a_token_is_good(
    server: KeySetServer, clock: ManualClock
) -> None:
    keys = ring(server, clock)
    tokens = verifier(keys, server)

    with pytest.raises(KeysUnavailable):
        tokens.identify(token(issuer.RSA, "RS256", {"kid": "one"}))
    before = tokens.ready
    await keys.refresh()

    assert (before, tokens.ready) == (False, True)
    assert tokens.identify(token(issuer.RSA, "RS256", {"kid": "one"})).user_id == USER


async def test_a_key_is_found_by_its_name_and_algorithm(server: KeySetServer, clock: ManualClock) -> None:
    server.keys = [jwk(issuer.RSA, "r"), jwk(issuer.P256, "e"), jwk(issuer.ED25519, "d", alg="EdDSA")]
    keys = ring(server, clock)
    await keys.refresh()
    tokens = verifier(keys, server)

    for key, algorithm, kid in [
        (issuer.RSA, "RS256", "r"),
        (issuer.P256, "ES256", "e"),
        (issuer.ED25519, "EdDSA", "d"),
    ]:
        assert tokens.identify(token(key, algorithm, {"kid": kid})).user_id == USER
        assert tokens.identify(token(key, algorithm)).user_id == USER, "the only one of its algorithm"
    with pytest.raises(Unauthorized, match="its algorithm is not its key's"):
        tokens.identify(token(issuer.RSA, "RS256", {"kid": "e"}))
    with pytest.raises(Unauthorized, match="its signature is wrong"):
        tokens.identify(token(issuer.RSA_OTHER, "RS256", {"kid": "r"}))


async def test_a_token_without_a_name_must_not_be_ambiguous(server: KeySetServer, clock: ManualClock) -> None:
    server.keys = [jwk(issuer.RSA, "one"), jwk(issuer.RSA, "two")]
    keys = ring(server, clock)
    await keys.refresh()

    with pytest.raises(Unauthorized, match="it does not say which key"):
        verifier(keys, server).identify(token(issuer.RSA, "RS256"))


async def test_a_new_key_is_fetched_when_it_is_missed_and_the_old_one_is_gone(
    server: KeySetServer, clock: ManualClock
) -> None:
    keys = ring(server, clock, refresh_seconds=3600, pause_seconds=0.01)
    tokens = verifier(keys, server)
    old, new = token(issuer.RSA, "RS256", {"kid": "one"}), token(issuer.P256, "ES256", {"kid": "two"})
    running = asyncio.create_task(keys.run())
    await until(lambda: tokens.ready)

    server.keys = [jwk(issuer.P256, "two")]
    clock.advance(1)
    assert tokens.identify(old).user_id == USER
    with pytest.raises(KeysUnavailable):
        tokens.identify(new)
    clock.advance(1)
    await until(lambda: judged(tokens, new) is None)

    assert isinstance(judged(tokens, old), Unauthorized)
    await ended(running)


async def test_a_name_that_the_set_does_not_hold_is_refused_once_it_was_asked_for(
    server: KeySetServer, clock: ManualClock
) -> None:
    keys = ring(server, clock, pause_seconds=10)
    tokens = verifier(keys, server)
    unknown = token(issuer.P256, "ES256", {"kid": "two"})
    await keys.refresh()

    clock.advance(1)
    first = judged(tokens, unknown)
    clock.advance(1)
    second = judged(tokens, unknown)
    clock.advance(1)
    await keys.refresh()
    clock.advance(1)
    then = judged(tokens, unknown)
    clock.advance(10)
    much_later = judged(tokens, unknown)

    assert isinstance(first, KeysUnavailable)
    assert isinstance(second, KeysUnavailable), "the set at hand is older than the first miss"
    assert str(then) == "not authorised: its key is unknown"
    assert isinstance(much_later, KeysUnavailable), "by now the issuer may have it"


async def test_tokens_cannot_make_us_ask_more_often_than_the_pause(
    server: KeySetServer, clock: ManualClock
) -> None:
    keys = ring(server, clock, refresh_seconds=3600, pause_seconds=3600)
    tokens = verifier(keys, server)
    running = asyncio.create_task(keys.run())
    await until(lambda: tokens.ready)

    for number in range(3 * MAX_UNKNOWN):
        judged(tokens, token(issuer.P256, "ES256", {"kid": f"k{number}"}))
        if number % 100 == 0:
            await asyncio.sleep(0)

    assert server.asked == 1
    assert len(keys._unknown) <= MAX_UNKNOWN
    await ended(running)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b""),
        (404, b""),
        (302, b""),
        (200, b""),
        (200, b"<html>"),
        (200, b"\xff\xfe"),
        (200, b"[" * 100_000),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"keys": {}}'),
        (200, b'{"keys": []}'),
        (200, b'{"keys": [1, null, [], {}]}'),
        (200, b'{"keys": [' + b" " * MAX_SET_BYTES + b"]}"),
    ],
)
async def test_the_last_good_keys_stay_whatever_the_issuer_answers(
    status: int, body: bytes, server: KeySetServer, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    keys = ring(server, clock)
    await keys.refresh()
    server.status, server.body, server.location = status, body, server.url

    good = await keys.refresh()

    assert not good
    assert verifier(keys, server).identify(token(issuer.RSA, "RS256", {"kid": "one"})).user_id == USER
    (line,) = caplog.messages
    assert line.startswith("the keys that tokens are verified with cannot be fetched from 127.0.0.1:")


async def test_the_last_good_keys_stay_while_nobody_answers(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(KeySetServer(jwk(issuer.RSA, "one"))) as server:
        keys = ring(server, clock)
        await keys.refresh()

    good = await keys.refresh()

    assert not good
    assert verifier(keys, server).identify(token(issuer.RSA, "RS256", {"kid": "one"})).user_id == USER
    assert caplog.messages[-1].endswith(": Connection refused")


async def test_a_slow_issuer_holds_nobody_up_and_is_left(server: KeySetServer, clock: ManualClock) -> None:
    keys = ring(server, clock, fetch_timeout_seconds=0.2)
    await keys.refresh()
    server.release.clear()
    tokens = verifier(keys, server)

    waiting = asyncio.create_task(keys.refresh())
    await asyncio.to_thread(server.asked_now.wait, 5)
    meanwhile = tokens.identify(token(issuer.RSA, "RS256", {"kid": "one"}))

    assert meanwhile.user_id == USER
    assert await waiting is False
    await until(lambda: not fetching())


async def test_a_fetch_that_is_cancelled_leaves_no_thread(server: KeySetServer) -> None:
    server.release.clear()
    waiting = asyncio.create_task(fetch(server.url, timeout_seconds=30, max_bytes=100))
    await asyncio.to_thread(server.asked_now.wait, 5)

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    await until(lambda: not fetching())


async def test_a_redirect_is_not_followed(server: KeySetServer) -> None:
    server.status, server.location = 302, server.url

    with pytest.raises(FetchFailed, match="it answered 302"):
        await fetch(server.url, timeout_seconds=5, max_bytes=100)

    assert server.asked == 1


async def test_an_answer_is_read_up_to_its_limit(server: KeySetServer) -> None:
    server.body = b"x" * 100

    assert await fetch(server.url, timeout_seconds=5, max_bytes=100) == server.body
    with pytest.raises(FetchFailed, match="more than 99 bytes"):
        await fetch(server.url, timeout_seconds=5, max_bytes=99)


UNUSABLE: dict[str, Any] = {
    "shared": {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "alg": "HS256"},
    "for encrypting": jwk(issuer.RSA, use="enc"),
    "for signing only": jwk(issuer.RSA, key_ops=["sign"]),
    "operations are no list": jwk(issuer.RSA, key_ops=7),
    "another algorithm": jwk(issuer.RSA, alg="PS256"),
    "too small": jwk(issuer.RSA_SMALL),
    "another curve": jwk(issuer.P384),
    "private": ECAlgorithm.to_jwk(issuer.P256, as_dict=True) | {"key_ops": ["verify"]},
    "name is a number": {**jwk(issuer.RSA), "kid": 7},
    "broken number": {**jwk(issuer.RSA), "n": "!"},
    "number is a list": {**jwk(issuer.RSA), "n": []},
    "no number": {"kty": "RSA", "e": "AQAB"},
    "no point of the curve": {**jwk(issuer.P256), "x": "AAAA"},
    "kind is a list": {"kty": []},
    "no kind": {},
}


@pytest.mark.parametrize("unusable", UNUSABLE.values(), ids=UNUSABLE)
def test_a_key_that_must_not_verify_is_passed_over(unusable: dict[str, Any]) -> None:
    with pytest.raises(UnusableKey):
        keys_of(json.dumps({"keys": [unusable]}).encode(), (*ALGORITHMS, "HS256"))

    both = keys_of(json.dumps({"keys": [unusable, jwk(issuer.P256, "good")]}).encode(), ALGORITHMS)
    assert list(both) == ["good"]


def test_a_key_of_an_algorithm_that_is_not_accepted_is_passed_over() -> None:
    with pytest.raises(UnusableKey):
        keys_of(json.dumps({"keys": [jwk(issuer.RSA)]}).encode(), ("ES256",))


def test_a_set_has_no_more_keys_than_anybody_needs() -> None:
    key = jwk(issuer.P256)
    listed = [{**key, "kid": str(number)} for number in range(2 * MAX_KEYS)]

    assert len(keys_of(json.dumps({"keys": listed}).encode(), ALGORITHMS)) == MAX_KEYS


def judged(tokens: JwtTokens, text: str) -> Unauthorized | None:
    try:
        tokens.identify(text)
    except Unauthorized as refused:
        return refused
    return None


def fetching() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "fetch"]


async def until(condition: Any) -> None:
    """Let the loop turn until it is so; the test's own time limit bounds it."""
    while not condition():  # noqa: ASYNC110 - threads and a server change it, which set no event of ours
        await asyncio.sleep(0.005)


async def ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
