"""What a verified token says of its bearer: whose it is, and until when."""

from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

from ...application.errors import Unauthorized
from ...application.gateway_ports import Identity
from ...domain.identifiers import canonical_uuid

CLOCK_SKEW_SECONDS: Final = 60
"""How far an issuer's clock may be ahead of ours. It widens `nbf` and `iat`, not `exp`: what is open ends at
`exp`, so a token accepted later would open streams that end at once, again and again."""

MAX_TOKEN_ID: Final = 128
_YEAR_9999: Final = 253_402_300_799


def identity_of(claims: Mapping[str, Any], now: float) -> Identity:
    """Whose token it is, at `now` (seconds since the epoch). Raises `Unauthorized`.

    Issuer and audience were checked before.
    """
    expires_at = _time(claims, "exp")
    if expires_at is None:
        raise Unauthorized("it has no `exp`")
    if expires_at <= now:
        raise Unauthorized("it has expired")
    for claim in ("nbf", "iat"):
        begins = _time(claims, claim)
        if begins is not None and begins > now + CLOCK_SKEW_SECONDS:
            raise Unauthorized(f"it is not valid yet (`{claim}`)")
    return Identity(_user_id(claims), int(min(expires_at, _YEAR_9999)), _token_id(claims))


def _time(claims: Mapping[str, Any], claim: str) -> float | None:
    value = claims.get(claim)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unauthorized(f"its `{claim}` is no time")
    if isinstance(value, float) and not isfinite(value):
        raise Unauthorized(f"its `{claim}` is no time")
    return min(max(value, -_YEAR_9999), _YEAR_9999)


def _user_id(claims: Mapping[str, Any]) -> str:
    """The user's id in the form that streams have it, as an envelope's `user_id` is taken."""
    subject = claims.get("sub")
    user_id = canonical_uuid(subject) if isinstance(subject, str) else None
    if user_id is None:
        raise Unauthorized("its `sub` is no user's id (a UUID)")
    return user_id


def _token_id(claims: Mapping[str, Any]) -> str | None:
    token_id = claims.get("jti")
    if token_id is None:
        return None
    if not isinstance(token_id, str) or not 0 < len(token_id) <= MAX_TOKEN_ID or not token_id.isprintable():
        raise Unauthorized(f"its `jti` is no text of at most {MAX_TOKEN_ID} characters")
    return token_id
