"""Requests as nobody's browser sends them: the right words in the wrong places, and bytes between them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

from hypothesis import strategies as st

from tests.integration.gateway.running import AUDIENCE, KEY

PATHS = (
    "/position",
    "/ticket",
    "/health/live",
    "/openapi.json",
    "/",
    "/metrics",
    "*",
    "/events/",
    "//events",
)
METHODS = ("POST", "OPTIONS", "HEAD", "PUT", "CONNECT", "get", "PRI")
NUMBERS = (0, -1, 1, 0.5, 1e308, 2**63, 2**64, 10**400, float("nan"), float("inf"), True)
HOSTILE = (
    "",
    "\0",
    "\xff\xfe",
    "a}x{b",
    "../../etc/passwd",
    "%00%0d%0aid: 1",
    "%ff",
    "%ud800",
    "'",
    "9" * 5000,
    "0-0",
    "-1",
    "1e9",
    "a.18446744073709551616-0",
    "aaaaaaaa.1-1",
    "None",
    "[::1",
    "[fe80::1%eth0]:1",
    "1.2.3.4, 5.6.7.8, x",
)
WORDS = (
    "Origin: https://app.example",
    "Sec-Fetch-Site: same-origin",
    "Expect: 100-continue",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: identity, chunked",
    "Content-Length: 0",
    "Content-Length: 5",
    "Content-Length: -1",
    "Connection: close",
    "Connection: upgrade\r\nUpgrade: websocket",
    "Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk",
    "Access-Control-Request-Method: GET",
)
LATIN = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30)
JSON = st.recursive(
    st.sampled_from(["\0", "\ud800", "a" * 200, None, *NUMBERS]) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
T = TypeVar("T")


@dataclass(frozen=True)
class Stakes:
    """What a hostile client knows, and what it must not get at."""

    user: str
    token: str
    positions: tuple[str, ...]
    """Of its own stream, and of somebody else's."""


def requests(stakes: Stakes) -> st.SearchStrategy[bytes]:
    """Requests in good form with anything in them, spoilt ones, and what is no request at all."""
    whole = _whole(stakes)
    spoilt = whole.flatmap(_spoilt) | st.tuples(whole, st.binary(max_size=60)).map(b"".join) | st.binary()
    return _mostly(whole, spoilt)


def with_odd_times(stakes: Stakes) -> list[bytes]:
    """Requests whose tokens are well signed, and name as a time each number that JSON has or Python takes for
    one."""
    tokens = [
        _signed(b'{"alg":"HS256"}', json.dumps({**_claims(stakes), claim: number}).encode())
        for claim in ("exp", "nbf", "iat")
        for number in NUMBERS
    ]
    head = "GET /events HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {}\r\n\r\n"
    return [head.format(token).encode() for token in tokens]


def _claims(stakes: Stakes) -> dict[str, object]:
    return {"sub": stakes.user, "aud": AUDIENCE, "exp": 4_000_000_000, "jti": "a"}


def _whole(stakes: Stakes) -> st.SearchStrategy[bytes]:
    line = st.builds(
        "{} {}{} HTTP/1.1\r\nHost: gateway".format,
        _mostly(st.just("GET"), st.sampled_from(METHODS)),
        _mostly(st.just("/events"), st.sampled_from(PATHS)),
        st.just("") | _queries(stakes).map("?{}".format),
    )
    own_page = "Origin: https://app.example\r\nCookie: a=b; __Host-eventbridge="
    proof = st.one_of(
        st.just(f"Authorization: Bearer {stakes.token}"),
        st.builds("{}{}".format, st.sampled_from(["Authorization: Bearer ", own_page]), _tokens(stakes)),
    )
    names = ("Last-Event-ID", "Authorization", "Cookie", "Origin", "Sec-Fetch-Site", "X-Forwarded-For", "X")
    other = st.sampled_from(WORDS) | st.builds("{}: {}".format, st.sampled_from(names), _values(stakes))
    cursor = st.just("X: y") | _values(stakes).map("Last-Event-ID: {}".format)
    lines = st.tuples(line, proof, cursor, st.lists(other, max_size=3))
    return lines.map(
        lambda parts: ("\r\n".join([*parts[:3], *parts[3]]) + "\r\n\r\n").encode("latin-1", "replace")
    )


def _mostly(usual: st.SearchStrategy[T], other: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    return st.integers(1, 4).flatmap(lambda number: other if number == 4 else usual)


def _queries(stakes: Stakes) -> st.SearchStrategy[str]:
    ordinary = ("last=3", "event=message", "last=0", "event=other", "last=9999999999", "&".join(["a=1"] * 40))
    names = st.sampled_from(["last", "last_event_id", "event", "ticket", "user", "token", ""])
    pair = st.builds("{}={}".format, names, _values(stakes).map(lambda text: quote(text, safe="%")))
    return st.lists(st.sampled_from(ordinary) | pair, min_size=1, max_size=4).map("&".join)


def _values(stakes: Stakes) -> st.SearchStrategy[str]:
    """Anything that could stand behind a name."""
    position = st.sampled_from(stakes.positions)
    return st.one_of(
        position,
        st.builds("{}{}".format, position, st.sampled_from(HOSTILE)),
        st.sampled_from(HOSTILE),
        _tokens(stakes),
        LATIN,
    )


def _tokens(stakes: Stakes) -> st.SearchStrategy[str]:
    """The token of the client, spoilt ones, and well signed ones that make strange claims."""
    fields = st.sampled_from(["kid", "typ", "crit", "b64", "zip", "jwk", "jku", "x5c"])
    algorithms = st.sampled_from(["HS256", "none", "NONE", "RS256", "hs256", None, 1, ["HS256"]])
    header = st.builds(
        lambda algorithm, more: json.dumps({"alg": algorithm, **more}).encode(),
        algorithms,
        st.dictionaries(fields, JSON, max_size=2),
    )
    names = st.sampled_from(["sub", "aud", "exp", "nbf", "iat", "iss", "jti", "x"])
    claims = st.dictionaries(names, JSON, min_size=1, max_size=3).map(
        lambda strange: json.dumps({**_claims(stakes), **strange}).encode()
    )
    odd = st.sampled_from(
        [b"", b"[]", b"null", b"[" * 3000, b'{"exp":1e400}', b'{"sub":"\xff"}', b"\xff\xfe{}"]
    )
    well = st.just(b'{"alg":"HS256"}')
    return st.one_of(
        st.builds(_signed, well, claims),
        st.builds(_signed, header, claims),
        st.builds(_signed, well | odd, odd),
        st.builds(
            lambda at, piece: stakes.token[:at] + piece + stakes.token[at + 1 :],
            st.integers(0, len(stakes.token)),
            LATIN,
        ),
    )


def _signed(header: bytes, body: bytes) -> str:
    """A token whose signature is right, whatever it says."""
    head = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, body))
    signature = hmac.digest(KEY.encode(), head, hashlib.sha256)
    return (head + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def _spoilt(request: bytes) -> st.SearchStrategy[bytes]:
    """With some bytes put in place of others, somewhere."""
    return st.builds(
        lambda at, gone, new: request[:at] + new + request[at + gone :],
        st.integers(0, len(request)),
        st.integers(0, 3),
        st.binary(max_size=4),
    )
