"""Takes a user or a token the right to read, in Redis, where every gateway sees it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from ..adapters.redis import keys
from ..adapters.redis.connect import connect
from ..adapters.redis.revocations import RedisRevocations
from .adapter_settings import redis_place, redis_settings
from .settings import Settings


async def revoke(
    settings: Settings, *, user_id: str | None, token_id: str | None, days: float
) -> Sequence[str]:
    """Revoke for so many days and tell the gateways; answers what was done, in sentences.

    Raises `SinkUnavailable` and `SinkMisconfigured`: nothing is certain then, call again.
    """
    life = timedelta(days=days)
    link = connect(redis_settings(settings))
    try:
        await RedisRevocations(link).revoke(
            user_id=user_id, token_id=token_id, life_seconds=int(life.total_seconds())
        )
    finally:
        await link.close()
    end = f"{datetime.now(UTC) + life:%Y-%m-%d %H:%M} UTC"
    said = []
    if user_id is not None:
        said += [
            f"The user {user_id} may not read until {end}, with whatever token.",
            f"To allow it earlier, delete {keys.revoked_user(user_id)} in Redis.",
        ]
    if token_id is not None:
        said.append(f"The token {token_id} is not accepted until {end}; it must have expired by then.")
    said.append(f"Gateways on {redis_place(settings)} were told; open streams end at once.")
    return said
