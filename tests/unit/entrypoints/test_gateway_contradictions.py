"""What the gateway must not be started with, each in a sentence that names the setting and no secret."""

import pytest

from eventbridge.entrypoints.gateway_settings import gateway_contradictions
from eventbridge.entrypoints.settings import GatewayGroup

SECRET = "a-secret-that-both-sides-know-1234567890"
PEM = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
SHARED: dict[str, object] = {"jwt_key": SECRET, "jwt_algorithms": "HS256", "jwt_audience": "eb"}
FETCHED: dict[str, object] = {"jwks_url": "https://id.example/jwks", "jwt_audience": "eb"}
PUBLIC: dict[str, object] = {"jwt_key": PEM, "jwt_audience": "eb"}


@pytest.mark.parametrize(
    "group",
    [
        SHARED,
        FETCHED,
        PUBLIC,
        {**FETCHED, "jwks_url": "http://127.0.0.1:9000/jwks"},
        {**FETCHED, "host": "0.0.0.0", "cors_origins": "https://a.example", "trusted_proxies": "10.0.0.0/8"},
        {"auth": "none"},
        {"auth": "none", "host": "localhost"},
        {"auth": "none", "host": "::1"},
        {"auth": "none", "host": "127.0.0.2"},
    ],
)
def test_a_gateway_may_be_started(group: dict[str, object]) -> None:
    assert gateway_contradictions(GatewayGroup.model_validate(group)) == []


@pytest.mark.parametrize(
    ("group", "complaints"),
    [
        (
            {},
            [
                ("jwt_audience", "must be set, since gateway.auth is jwt"),
                ("jwt_key", "or gateway.jwks_url must be set, since gateway.auth is jwt"),
            ],
        ),
        *(
            (
                {"auth": "none", "host": host},
                [
                    (
                        "auth",
                        "none lets anybody read any user's events: only with gateway.host on this machine "
                        "(127.0.0.1, ::1 or localhost)",
                    )
                ],
            )
            for host in ("0.0.0.0", "::", "10.0.0.1", "gateway.example", "localhost.example")
        ),
        (
            {**SHARED, "jwt_key": "short"},
            [("jwt_key", "must have at least 32 bytes, or be a public key in PEM")],
        ),
        (
            {**SHARED, "jwt_algorithms": "RS256,HS256"},
            [("jwt_algorithms", "must be HS256, since gateway.jwt_key is a shared secret and not PEM")],
        ),
        (
            {**SHARED, "jwks_url": "https://id.example/jwks"},
            [("jwks_url", "must not be set beside gateway.jwt_key")],
        ),
        *(
            (
                {**group, "jwt_algorithms": "RS256,HS256"},
                [
                    (
                        "jwt_algorithms",
                        "must not hold HS256, since the key is public: anybody could sign with it",
                    )
                ],
            )
            for group in (FETCHED, PUBLIC)
        ),
        *(
            (
                {**FETCHED, "jwt_algorithms": f"RS256,{name}"},
                [("jwt_algorithms", f"must be of RS256, ES256, EdDSA, HS256, got '{name}'")],
            )
            for name in ("none", "rs256", "PS256")
        ),
        *(
            ({**FETCHED, "jwks_url": url}, [("jwks_url", "must begin with https://, and hold no password")])
            for url in ("http://id.example/jwks", "https://u:secret@id.example/jwks", "file:///etc/jwks")
        ),
        (
            {**FETCHED, "cors_origins": "*"},
            [
                (
                    "cors_origins",
                    "must be origins exactly as browsers send them, such as https://app.example or "
                    "https://app.example:8443, in lower case and without a path; '*' is none",
                )
            ],
        ),
        (
            {"auth": "none", "trusted_proxies": "10.0.0.1/8"},
            [
                (
                    "trusted_proxies",
                    "must be addresses or networks such as 10.0.0.0/8, without bits behind the prefix; "
                    "'10.0.0.1/8' is none",
                )
            ],
        ),
    ],
)
def test_a_gateway_is_refused(group: dict[str, object], complaints: list[tuple[str, str]]) -> None:
    found = gateway_contradictions(GatewayGroup.model_validate(group))

    assert found == complaints
    assert not any(secret in str(found) for secret in ("short", "secret@", SECRET))
