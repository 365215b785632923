"""How tokens are verified, and which of it cannot be right; looks at no key's inside."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ...domain.origins import is_secure_url

ALGORITHMS: Final = ("RS256", "ES256", "EdDSA", "HS256")
"""What can be accepted at all; never `none`."""

SHARED: Final = "HS256"
"""The one algorithm whose key is a secret that both sides know."""

MIN_SECRET_BYTES: Final = 32
"""No shorter than the hash (RFC 7518, section 3.2): a shorter secret can be guessed offline."""


@dataclass(frozen=True, slots=True)
class JwtSettings:
    """What a good token looks like. Exactly one of `key` and `jwks_url` is set."""

    audience: str
    algorithms: tuple[str, ...]
    key: str | None = field(default=None, repr=False)
    """A shared secret, or a public key as PEM."""
    jwks_url: str | None = None
    issuer: str | None = None

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """What cannot be right, as (field of `[gateway]`, rule); repeats no key."""
        for algorithm in self.algorithms:
            if algorithm not in ALGORITHMS:
                yield "jwt_algorithms", f"must be of {', '.join(ALGORITHMS)}, got {algorithm[:80]!a}"
        if not self.audience:
            yield "jwt_audience", "must be set, since gateway.auth is jwt"
        if self.key is None and self.jwks_url is None:
            yield "jwt_key", "or gateway.jwks_url must be set, since gateway.auth is jwt"
        elif self.key is not None and self.jwks_url is not None:
            yield "jwks_url", "must not be set beside gateway.jwt_key"
        elif self.key is not None and not is_pem(self.key):
            yield from self._wrong_with_secret(self.key)
        elif SHARED in self.algorithms:
            yield (
                "jwt_algorithms",
                f"must not hold {SHARED}, since the key is public: anybody could sign with it",
            )
        if self.jwks_url is not None and not is_secure_url(self.jwks_url):
            yield "jwks_url", "must begin with https://, and hold no password"

    def _wrong_with_secret(self, secret: str) -> Iterator[tuple[str, str]]:
        if len(secret.encode("utf-8", "surrogatepass")) < MIN_SECRET_BYTES:
            yield "jwt_key", f"must have at least {MIN_SECRET_BYTES} bytes, or be a public key in PEM"
        if set(self.algorithms) != {SHARED}:
            yield "jwt_algorithms", f"must be {SHARED}, since gateway.jwt_key is a shared secret and not PEM"


def is_pem(key: str) -> bool:
    """Whether a key is meant as PEM and not as a shared secret."""
    return key.lstrip().startswith("-----BEGIN ")
