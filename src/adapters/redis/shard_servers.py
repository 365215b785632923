"""Whether the servers that have shards answer: one small question to each, all at the same time."""

import asyncio
from collections.abc import Sequence

from ...application.errors import SinkMisconfigured, SinkUnavailable
from ...application.store_watch import Unreachable
from . import keys
from .link import Link
from .server import ask

_AT_ONCE = 64
"""Shards that are looked up before pages get a turn: half a millisecond's worth."""


class RedisShardServers:
    """One server, or the primaries of a Cluster. The link is not closed here."""

    def __init__(self, link: Link, shards: int) -> None:
        self._link = link
        self._shards = shards

    async def unreachable(self) -> Sequence[Unreachable]:
        """The shards whose servers do not answer, or refuse to, within the time of one call; by server."""
        by_home: dict[str, list[int]] = {}
        without_home: dict[str, list[int]] = {}
        for shard in range(self._shards):
            if shard % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
            try:
                by_home.setdefault(await self._link.home(keys.meta(shard)), []).append(shard)
            except (SinkUnavailable, SinkMisconfigured) as error:
                if error.reason != "cluster_down":
                    # No server of the Cluster says which of them has what.
                    return [Unreachable(range(self._shards), str(error))]
                without_home.setdefault(str(error), []).append(shard)
        reasons = await asyncio.gather(*(self._why_not(shards[0]) for shards in by_home.values()))
        return [
            *(Unreachable(shards, reason) for reason, shards in without_home.items()),
            *(
                Unreachable(shards, reason)
                for reason, shards in zip(reasons, by_home.values(), strict=True)
                if reason is not None
            ),
        ]

    async def _why_not(self, shard: int) -> str | None:
        key = keys.meta(shard)
        try:
            await ask(self._link, key, "HMGET", key, "epoch")
        except (SinkUnavailable, SinkMisconfigured) as error:
            return str(error)
        return None
