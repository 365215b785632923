"""Slots for streams that all gateways share, as leases in a sorted set per user (DELIVERY.md 3)."""

from typing import Final

from . import keys
from .link import Link
from .server import ask

LEASE_SECONDS: Final = 60
"""How long a slot is held without being renewed: renew at a third of it."""

_TAKE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local member, limit, life = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if not redis.call('ZSCORE', KEYS[1], member) and redis.call('ZCARD', KEYS[1]) >= limit then
  return 0
end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + life), member)
redis.call('PEXPIRE', KEYS[1], life)
return 1
"""


class RedisLeases:
    """`Leases` in Redis, by its clock. Calls raise `SinkUnavailable` and `SinkMisconfigured`.

    A call repeated, or cut off on its way, does no harm: taking again renews, and what nobody gives back
    expires.
    """

    def __init__(self, link: Link, *, life_seconds: float = LEASE_SECONDS) -> None:
        self.life_seconds = life_seconds
        self._link = link

    async def take(self, user_id: str, connection: str, limit: int) -> bool:
        """As in `Leases`. Without a limit Redis is not asked."""
        if limit <= 0:
            return True
        key = keys.lease(user_id)
        life_ms = max(1, int(self.life_seconds * 1000))
        # One EVAL: the text is short, and a right to load scripts would be no less.
        taken = await ask(self._link, key, "EVAL", _TAKE, 1, key, connection, limit, life_ms)
        return bool(taken)

    async def release(self, user_id: str, connection: str) -> None:
        """As in `Leases`."""
        key = keys.lease(user_id)
        await ask(self._link, key, "ZREM", key, connection)
