"""The `Tokens` port on PyJWT."""

import time
from collections.abc import Callable
from typing import Any, Final

import jwt

from ...application.cause_log import CauseLog
from ...application.errors import Unauthorized
from ...application.gateway_ports import Identity
from ...application.ports import Clock
from .claims import identity_of
from .key_rings import FetchedKeys, GivenKey, KeyRing
from .keys import key_of
from .settings import JwtSettings

MAX_TOKEN_BYTES: Final = 8192
"""As much as all headers of a request may have together."""

_OPTIONS: Final[Any] = {
    "require": ["exp", "aud", "sub"],
    "enforce_minimum_key_length": True,
    # Times, `sub` and `jti` are judged by `claims`, more strictly: "1e9" and true are no times there.
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_sub": False,
    "verify_jti": False,
}


class JwtTokens:
    """Verifies tokens with the keys at hand: a few hundred microseconds at most, no waiting."""

    def __init__(self, settings: JwtSettings, keys: KeyRing, now: Callable[[], float] = time.time) -> None:
        """`now` is the wall clock, seconds since the epoch."""
        self._settings = settings
        self._keys = keys
        self._now = now

    @classmethod
    def build(cls, settings: JwtSettings, clock: Clock, causes: CauseLog) -> "JwtTokens":
        """With the settings' key, or its URL. Raises `UnusableKey`; `settings.contradictions` tells more."""
        keys: KeyRing
        if settings.jwks_url is not None:
            keys = FetchedKeys(settings.jwks_url, settings.algorithms, clock, causes)
        else:
            keys = GivenKey(key_of(settings.key or "", settings.algorithms))
        return cls(settings, keys)

    @property
    def ready(self) -> bool:
        """Whether there are keys to verify with."""
        return not isinstance(self._keys, FetchedKeys) or self._keys.ready

    async def run(self) -> None:
        """Keep fetched keys fresh until cancelled; ends at once where the key was given."""
        if isinstance(self._keys, FetchedKeys):
            await self._keys.run()

    def identify(self, token: str) -> Identity:
        """Who it is. Raises `Unauthorized`, or its kind `KeysUnavailable` while keys are still fetched."""
        if len(token) > MAX_TOKEN_BYTES:
            raise Unauthorized("it is too long")
        return identity_of(self._claims(token), self._now())

    def _claims(self, token: str) -> dict[str, Any]:
        # Foreign errors are not chained: their texts hold parts of the token.
        try:
            header = jwt.get_unverified_header(token)
            algorithm = header.get("alg")
            if not isinstance(algorithm, str):
                raise Unauthorized("its algorithm is not accepted")
            key = self._keys.find(header.get("kid"), algorithm)
            return jwt.decode(
                token,
                key.material,
                algorithms=[key.algorithm],
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                options=_OPTIONS,
            )
        except jwt.InvalidSignatureError:
            raise Unauthorized("its signature is wrong") from None
        except jwt.MissingRequiredClaimError as missing:
            raise Unauthorized(f"it has no `{missing.claim}`") from None
        except jwt.InvalidAudienceError:
            raise Unauthorized("it is for another audience (`aud`)") from None
        except jwt.InvalidIssuerError:
            raise Unauthorized("it is from another issuer (`iss`)") from None
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise Unauthorized("it is no JSON Web Token") from None
