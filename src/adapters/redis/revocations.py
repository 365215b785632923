"""Who may not read any more: keys that outlive the tokens, and a channel on which gateways hear of them."""

from typing import Final

import msgspec

from ...application.gateway_ports import Hear, Identity
from ...domain.routing import user
from . import keys
from .link import Link
from .server import ask, ask_all
from .subscription import Subscription

REVOKED_SECONDS: Final = 30 * 86_400
"""How long a revocation holds where nothing else is said: it must outlive the tokens that it revokes,
whose ends are not known to whoever revokes."""


class _Announcement(msgspec.Struct, frozen=True):
    """A message on the control channel, as JSON."""

    revoked: str
    """`user:<id>`, a UUID in lower case, or `jti:<id>`."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Announcement).decode

_ANY: Final = ()
"""News that names nobody: anything may have been revoked."""


class RedisRevocations:
    """`Revocations` in Redis. Calls raise `SinkUnavailable` and `SinkMisconfigured`."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._subscription: Subscription[str] = Subscription(
            link, confirmed=lambda _: _ANY, published=lambda _, message: _revoked(message)
        )
        self._subscription.watch(keys.CONTROL)

    async def is_revoked(self, identity: Identity) -> bool:
        """As in `Revocations`. Raises `TargetError` for a user's id that can name no stream."""
        asked = [keys.revoked_user(identity.user_id)]
        if identity.token_id is not None:
            asked.append(keys.revoked_token(identity.token_id))
        if self._link.cluster:
            return any([await ask(self._link, key, "EXISTS", key) for key in asked])
        return any(await ask_all(self._link, asked[0], *[("EXISTS", key) for key in asked]))

    async def revoke(
        self,
        *,
        user_id: str | None = None,
        token_id: str | None = None,
        life_seconds: int = REVOKED_SECONDS,
    ) -> None:
        """As in `Revocations`, for so many seconds; once more does no harm, and renews them.

        What was cut off may hold although no gateway was told: call again.
        """
        if user_id is not None:
            await self._revoke(keys.revoked_user(user_id), f"user:{user(user_id).id}", life_seconds)
        if token_id is not None:
            await self._revoke(keys.revoked_token(token_id), f"jti:{token_id}", life_seconds)

    async def announced(self, hear: Hear[str]) -> None:
        """As in `Revocations`; the first batch is empty, too: ask for what was open before it came."""
        await self._subscription.follow(hear)

    async def close(self) -> None:
        """End the announcements and close their connection."""
        await self._subscription.close()

    async def _revoke(self, key: str, name: str, life_seconds: int) -> None:
        await ask(self._link, key, "SET", key, "1", "EX", life_seconds)
        await ask(self._link, keys.CONTROL, "PUBLISH", keys.CONTROL, _encode(_Announcement(name)))


def _revoked(message: bytes) -> tuple[str, ...]:
    """What is announced; nothing, so that all is asked for again, where it cannot be read."""
    try:
        return (_decode(message).revoked,)
    except msgspec.DecodeError:
        return _ANY
