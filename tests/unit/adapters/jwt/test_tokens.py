"""A token counts if its key, algorithm, audience, issuer and times are right; all else is refused."""

import base64
import hashlib
import hmac
import json
import logging
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwt.utils import base64url_encode

from eventbridge.adapters.jwt.keys import UnusableKey
from eventbridge.adapters.jwt.settings import JwtSettings
from eventbridge.adapters.jwt.tokens import JwtTokens
from eventbridge.adapters.memory.clock import ManualClock
from eventbridge.application.cause_log import CauseLog
from eventbridge.application.errors import Unauthorized
from eventbridge.application.gateway_ports import Identity
from tests.unit.adapters.jwt import issuer
from tests.unit.adapters.jwt.issuer import AUDIENCE, SECRET, USER, raw_token, token

NOW = int(time.time())
"""When the tests were collected; they may run many minutes later."""

HOUR = 3600


def verifier(
    key: str = SECRET, algorithms: tuple[str, ...] = ("HS256",), issuer_name: str | None = None
) -> JwtTokens:
    clock = ManualClock()
    return JwtTokens.build(
        JwtSettings(AUDIENCE, algorithms, key=key, issuer=issuer_name),
        clock,
        CauseLog(logging.getLogger("test"), clock),
    )


def refusal(tokens: JwtTokens, text: str) -> str:
    with pytest.raises(Unauthorized) as refused:
        tokens.identify(text)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    return refused.value.reason


@pytest.mark.parametrize(
    ("key", "public", "algorithm"),
    [
        (SECRET, SECRET, "HS256"),
        (issuer.RSA, issuer.pem(issuer.RSA), "RS256"),
        (issuer.P256, issuer.pem(issuer.P256), "ES256"),
        (issuer.ED25519, issuer.pem(issuer.ED25519), "EdDSA"),
    ],
)
def test_a_good_token_says_who_and_until_when(key: Any, public: str, algorithm: str) -> None:
    tokens = verifier(public, (algorithm,))

    identity = tokens.identify(token(key, algorithm, exp=NOW + HOUR))

    assert identity == Identity(USER, NOW + HOUR, "token-1")


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["other", AUDIENCE]},
        {"jti": None},
        {"iat": None},
        {"iat": NOW + 50},
        {"nbf": NOW - 5},
        {"nbf": NOW + 50},
        {"exp": NOW + HOUR + 0.5},
        {"exp": 10**30},
        {"sub": USER.upper()},
        {"iss": "somebody"},
    ],
)
def test_a_token_may_differ_in_what_does_not_matter(changes: dict[str, object]) -> None:
    identity = verifier().identify(_signed({**issuer.claims(), **changes}))

    assert identity.user_id == USER
    assert NOW < identity.expires_at <= 253_402_300_799


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": None}, "it has no `exp`"),
        ({"aud": None}, "it has no `aud`"),
        ({"sub": None}, "it has no `sub`"),
        ({"exp": NOW - 1}, "it has expired"),
        ({"exp": NOW - 10**12}, "it has expired"),
        ({"exp": -(10**400)}, "it has expired"),
        ({"exp": str(NOW + HOUR)}, "its `exp` is no time"),
        ({"exp": True}, "its `exp` is no time"),
        ({"exp": float("nan")}, "its `exp` is no time"),
        ({"exp": float("inf")}, "its `exp` is no time"),
        ({"exp": [NOW + HOUR]}, "its `exp` is no time"),
        ({"nbf": NOW + HOUR}, "it is not valid yet (`nbf`)"),
        ({"nbf": "soon"}, "its `nbf` is no time"),
        ({"iat": NOW + HOUR}, "it is not valid yet (`iat`)"),
        ({"aud": "other"}, "it is for another audience (`aud`)"),
        ({"aud": ""}, "it has no `aud`"),
        ({"aud": []}, "it has no `aud`"),
        ({"aud": {"a": AUDIENCE}}, "it is for another audience (`aud`)"),
        ({"aud": [AUDIENCE, 1]}, "it is for another audience (`aud`)"),
        ({"aud": AUDIENCE.upper()}, "it is for another audience (`aud`)"),
        ({"sub": "42"}, "its `sub` is no user's id (a UUID)"),
        ({"sub": 42}, "its `sub` is no user's id (a UUID)"),
        ({"sub": "a}x{b"}, "its `sub` is no user's id (a UUID)"),
        ({"sub": "\ud800" * 36}, "its `sub` is no user's id (a UUID)"),
        ({"sub": "{" + USER + "}"}, "its `sub` is no user's id (a UUID)"),
        ({"sub": USER + "\n"}, "its `sub` is no user's id (a UUID)"),
        ({"jti": 7}, "its `jti` is no text of at most 128 characters"),
        ({"jti": ""}, "its `jti` is no text of at most 128 characters"),
        ({"jti": "x" * 129}, "its `jti` is no text of at most 128 characters"),
        ({"jti": "a\r\nb"}, "its `jti` is no text of at most 128 characters"),
        ({"jti": "\ud800"}, "its `jti` is no text of at most 128 characters"),
    ],
)
def test_a_wrong_claim_is_named(changes: dict[str, object], reason: str) -> None:
    text = _signed({**issuer.claims(), **changes})

    assert refusal(verifier(), text) == reason


@pytest.mark.parametrize(
    ("issued_by", "reason"),
    [
        (None, "it has no `iss`"),
        ("https://other", "it is from another issuer (`iss`)"),
        (["https://id"], "it is from another issuer (`iss`)"),
    ],
)
def test_the_issuer_is_checked_where_it_is_set(issued_by: object, reason: str) -> None:
    tokens = verifier(issuer_name="https://id")

    assert refusal(tokens, _signed({**issuer.claims(), "iss": issued_by})) == reason
    assert tokens.identify(token(iss="https://id")).user_id == USER


def test_a_token_ends_at_its_exp_and_clocks_may_differ_only_where_it_begins() -> None:
    settings = JwtSettings(AUDIENCE, ("HS256",), key=SECRET)
    keys = verifier()._keys
    times = {"exp": 2000, "nbf": 1000, "iat": 1000}

    def judged(now: float) -> bool:
        try:
            JwtTokens(settings, keys, now=lambda: now).identify(_signed({**issuer.claims(), **times}))
        except Unauthorized:
            return False
        return True

    assert [judged(now) for now in (939, 940, 1999.9, 2000)] == [False, True, True, False]


HOSTILE = {
    "nothing": "",
    "dots": "..",
    "many dots": "." * 50,
    "a word": "eyJ",
    "not base64": "!!!.!!!.!!!",
    "unicode": "ä.ö.ü",
    "surrogate": "\ud800.a.b",
    "nul": "\x00.\x00.\x00",
    "no object": raw_token([], {}),
    "no algorithm": raw_token({"typ": "JWT"}, {}),
    "none": raw_token({"alg": "none"}, issuer.claims()),
    "None": raw_token({"alg": "None"}, issuer.claims()),
    "no algorithm's name": raw_token({"alg": ["HS256"]}, issuer.claims()),
    "null": raw_token({"alg": None}, issuer.claims()),
    "unsigned": raw_token({"alg": "HS256"}, issuer.claims()),
    "deep": f"{base64.urlsafe_b64encode(b'[' * 5000).decode()}.e30.e30",
    "digits": f"{base64.urlsafe_b64encode(b'9' * 5001).decode()}.e30.e30",
    "kid is a number": raw_token({"alg": "HS256", "kid": 7}, issuer.claims()),
    "kid is a path": raw_token({"alg": "HS256", "kid": "../../dev/null"}, issuer.claims()),
    "own key": raw_token({"alg": "HS256", "jwk": {"kty": "oct", "k": "AA"}}, issuer.claims()),
    "own url": raw_token({"alg": "HS256", "jku": "http://127.0.0.1:1/"}, issuer.claims()),
    "critical": token(header={"crit": ["x"], "x": 1}),
    "detached": raw_token({"alg": "HS256", "b64": False, "crit": ["b64"]}, {}),
    "another secret": token("b-secret-that-nobody-knows-0123456789012"),
    "another algorithm": token(SECRET * 2, "HS512"),
    "five parts": token() + ".a.b",
    "huge": "a" * 8193,
    "very huge": "a." * 5_000_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_token_is_refused_in_few_words(text: str) -> None:
    reason = refusal(verifier(), text)

    assert len(reason) < 60
    assert reason.isascii()


def test_a_token_that_is_good_but_too_long_is_refused() -> None:
    assert refusal(verifier(), token(padding="x" * 8192)) == "it is too long"


def test_claims_that_nest_without_end_are_refused() -> None:
    assert refusal(verifier(), _signed_bytes(b'{"a":' + b"[" * 5000)) == "it is no JSON Web Token"


def test_a_public_key_is_no_shared_secret() -> None:
    public = issuer.pem(issuer.RSA)
    forged = _signed_bytes(json.dumps(issuer.claims()).encode(), public.encode())

    assert refusal(verifier(public, ("RS256",)), forged) == "its algorithm is not accepted"


@pytest.mark.parametrize(
    ("public", "algorithm", "key", "signed_with"),
    [
        (issuer.pem(issuer.RSA), "RS256", issuer.RSA, "PS256"),
        (issuer.pem(issuer.RSA), "RS256", issuer.RSA, "RS512"),
        (issuer.pem(issuer.RSA), "RS256", issuer.P256, "ES256"),
        (issuer.pem(issuer.P256), "ES256", issuer.P384, "ES384"),
        (issuer.pem(issuer.ED25519), "EdDSA", issuer.RSA, "RS256"),
        (SECRET, "HS256", issuer.RSA, "RS256"),
    ],
)
def test_the_algorithm_is_the_keys_own(public: str, algorithm: str, key: Any, signed_with: str) -> None:
    tokens = verifier(public, (algorithm,))

    assert refusal(tokens, token(key, signed_with)) == "its algorithm is not accepted"


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_changed_token_is_refused(part: int) -> None:
    parts = token().split(".")
    first = parts[part][5]
    parts[part] = parts[part][:5] + ("A" if first != "A" else "B") + parts[part][6:]

    refusal(verifier(), ".".join(parts))


def test_a_refusal_holds_nothing_of_the_token() -> None:
    text = token("b-secret-that-nobody-knows-0123456789012", jti="planted")

    with pytest.raises(Unauthorized) as refused:
        verifier().identify(text)

    assert not any(part in str(refused.value) for part in (*text.split("."), "planted", USER))


@given(
    st.text(max_size=300) | st.from_regex(r"[A-Za-z0-9_-]{0,40}(\.[A-Za-z0-9_-]{0,40}){0,4}", fullmatch=True)
)
def test_any_text_is_refused_and_nothing_else_happens(text: str) -> None:
    refusal(TOKENS, text)


@given(
    st.dictionaries(
        st.sampled_from(["sub", "aud", "exp", "nbf", "iat", "jti", "iss"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()),
    )
)
def test_any_signed_claims_are_an_identity_or_a_refusal(payload: dict[str, object]) -> None:
    text = _signed({**issuer.claims(), **payload})

    try:
        identity = TOKENS.identify(text)
    except Unauthorized:
        return

    assert identity.user_id == USER


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [
        (SECRET, ("RS256",)),
        (issuer.pem(issuer.RSA), ("HS256",)),
        (issuer.pem(issuer.RSA), ("ES256", "EdDSA")),
        (issuer.pem(issuer.RSA_SMALL), ("RS256",)),
        (issuer.pem(issuer.P384), ("ES256",)),
        (issuer.private_pem(issuer.RSA), ("RS256",)),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", ("RS256",)),
        ("-----BEGIN PUBLIC KEY-----\nä", ("RS256",)),
    ],
)
def test_a_key_that_must_not_verify_stops_the_start(key: str, algorithms: tuple[str, ...]) -> None:
    with pytest.raises(UnusableKey) as refused:
        verifier(key, algorithms)

    assert key[27:40] not in str(refused.value)


async def test_with_a_given_key_there_is_nothing_to_keep_fresh() -> None:
    tokens = verifier()

    await tokens.run()

    assert tokens.ready


TOKENS = verifier()


def _signed(payload: dict[str, Any]) -> str:
    kept = {name: value for name, value in payload.items() if value is not None}
    return _signed_bytes(json.dumps(kept).encode())


def _signed_bytes(payload: bytes, secret: bytes = SECRET.encode()) -> str:
    """Signed by hand: PyJWT itself would refuse to make some of these."""
    signed = b".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=") for part in (b'{"alg":"HS256","typ":"JWT"}', payload)
    )
    signature = hmac.new(secret, signed, hashlib.sha256).digest()
    return f"{signed.decode()}.{base64url_encode(signature).decode()}"
