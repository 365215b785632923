"""Live copies of the shards of interest, as the script publishes them (DELIVERY.md 5.3)."""

from collections.abc import Sequence

from ...application.gateway_ports import (
    EpochChanged,
    Hear,
    Interrupted,
    LiveNews,
    Subscribed,
)
from . import keys
from .link import Link
from .live_format import UnreadableLiveMessage, decode
from .subscription import Subscription


class LiveSubscription:
    """The live channels of shards."""

    def __init__(self, link: Link) -> None:
        self._shard_of: dict[str, int] = {}
        self._subscription: Subscription[LiveNews] = Subscription(
            link,
            confirmed=lambda channel: (Subscribed(self._shard_of[channel]),),
            interrupted=lambda channel: (Interrupted(self._shard_of[channel]),),
            published=self._published,
            sharded=link.cluster,
        )

    def watch(self, shard: int) -> None:
        """As in `EventFeed`."""
        channel = keys.live(shard)
        self._shard_of[channel] = shard
        self._subscription.watch(channel)

    def unwatch(self, shard: int) -> None:
        """As in `EventFeed`."""
        self._subscription.unwatch(keys.live(shard))

    async def follow(self, hear: Hear[LiveNews]) -> None:
        """As `EventFeed.live`."""
        await self._subscription.follow(hear)

    async def close(self) -> None:
        """Close every connection."""
        await self._subscription.close()

    def _published(self, channel: str, message: bytes) -> Sequence[LiveNews]:
        """Take a message apart; one that cannot be read is passed over, since the stream is the truth."""
        try:
            found = decode(message)
        except UnreadableLiveMessage:
            return ()
        if not found.copies:
            return (EpochChanged(self._shard_of[channel], found.epoch),)
        return (found,)
