"""Rules that a single value's type cannot hold; each names the setting and says what would be right."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from ..adapters.redis.settings import Address
from ..domain.origins import is_secure_url
from ..domain.white_list import PatternError, WhiteList
from .settings_errors import Inconsistent

if TYPE_CHECKING:
    from .settings import BreakerGroup, KafkaGroup


def kafka_contradictions(kafka: "KafkaGroup") -> list[tuple[str, str]]:
    """What contradicts itself in how the brokers are spoken to, as (field, rule)."""
    return [*_login_contradictions(kafka), *_tls_contradictions(kafka)]


def _login_contradictions(kafka: "KafkaGroup") -> Iterator[tuple[str, str]]:
    protocol, mechanism = kafka.security_protocol, kafka.sasl_mechanism
    if not protocol.startswith("SASL_"):
        for field in ("sasl_username", "sasl_password", "sasl_oauth_token_file", "sasl_oauth_token_url"):
            if getattr(kafka, field) is not None:
                yield field, f"has no effect while kafka.security_protocol is {protocol}; set SASL_SSL"
        return
    for field in _needed_for_login(kafka):
        if getattr(kafka, field) is None:
            yield field, f"must be set, since kafka.security_protocol is {protocol} with {mechanism}"
    overheard = protocol == "SASL_PLAINTEXT" and mechanism in ("PLAIN", "OAUTHBEARER")
    if overheard and not kafka.sasl_allow_plaintext_password:
        yield (
            "security_protocol",
            f"would send the secret of {mechanism} unencrypted; set SASL_SSL, "
            "or kafka.sasl_allow_plaintext_password=true",
        )
    if kafka.sasl_oauth_token_url is not None and not is_secure_url(kafka.sasl_oauth_token_url):
        yield (
            "sasl_oauth_token_url",
            "must begin with https://, and hold no password; that is kafka.sasl_oauth_client_secret",
        )


def _needed_for_login(kafka: "KafkaGroup") -> Sequence[str]:
    if kafka.sasl_mechanism != "OAUTHBEARER":
        return ("sasl_username", "sasl_password")
    if kafka.sasl_oauth_token_file is not None:
        return ()
    return ("sasl_oauth_token_url", "sasl_oauth_client_id", "sasl_oauth_client_secret")


def _tls_contradictions(kafka: "KafkaGroup") -> Iterator[tuple[str, str]]:
    for field in ("ssl_ca_file", "ssl_certificate_file", "ssl_key_file"):
        name: str | None = getattr(kafka, field)
        if name is None:
            continue
        if not kafka.security_protocol.endswith("SSL"):
            yield field, f"has no effect while kafka.security_protocol is {kafka.security_protocol}"
        elif not Path(name).is_file():
            yield field, f"no such file: {name}"
    if kafka.ssl_key_file is not None and kafka.ssl_certificate_file is None:
        yield "ssl_certificate_file", "must be set, since kafka.ssl_key_file is"


def breaker_contradictions(breaker: "BreakerGroup") -> list[tuple[str, str]]:
    """What contradicts itself in the circuit breaker's policy, as (field, rule)."""
    if breaker.probe_interval_max_seconds < breaker.probe_interval_seconds:
        return [("probe_interval_max_seconds", "must not be less than breaker.probe_interval_seconds")]
    return []


def allowed_patterns(patterns: Sequence[str]) -> Sequence[str]:
    """The white-list itself, once every pattern in it is known to be right."""
    wrong = []
    for pattern in patterns:
        try:
            WhiteList((pattern,))
        except PatternError as error:
            wrong.append(("", str(error)))
    if wrong:
        raise Inconsistent(wrong)
    return patterns


def redis_url(url: SecretStr) -> SecretStr:
    """The URL itself, once it is known to name a kind of Redis and its servers."""
    Address.parse(url.get_secret_value())
    return url


def without_password(url: str) -> str:
    """The URL as it may be shown: the password in it is masked, or what stands where a password might."""
    scheme, _, rest = url.partition("://")
    credentials, at, servers = rest.rpartition("@")
    user, colon, _ = credentials.partition(":")
    if not at:
        return url
    return f"{scheme}://{user}:***@{servers}" if colon else f"{scheme}://***@{servers}"
