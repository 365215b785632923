"""What a process knows of one shard: who is interested, and whether it can be reached."""

import asyncio

from .channel import Channel


class ShardWatch:
    """One shard's channels, its subscription, and its availability."""

    __slots__ = (
        "available",
        "channels",
        "check_again",
        "check_at",
        "checking",
        "failing_since",
        "number",
        "stale_since",
        "subscribed",
        "switching",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.channels: set[Channel] = set()
        self.subscribed = self.switching = False
        """Whether `EventFeed.watch` was called, and whether that is being changed."""
        self.check_at = 0.0
        """Monotonic, seconds: when its streams are to be checked next."""
        self.checking = self.check_again = False
        """Whether that is under way, and to be repeated at its end."""
        self.available = asyncio.Event()
        self.available.set()
        self.failing_since: float | None = None
        """Monotonic, seconds; None while the shard can be reached."""
        self.stale_since = 0
        """Wall clock, ms since the epoch: pages are told that the shard is away; 0: they are not."""

    @property
    def wanted(self) -> bool:
        """Whether anybody is interested."""
        return bool(self.channels)

    def failed(self, now: float) -> bool:
        """The shard could not be reached; True where that is news."""
        if self.failing_since is not None:
            return False
        self.failing_since = now
        self.available.clear()
        return True

    def worked(self) -> bool:
        """The shard was reached; True where that is news: then its streams are to be checked."""
        if self.failing_since is None:
            return False
        self.failing_since = None
        self.check_at = 0.0
        self.stale_since = 0
        self.available.set()
        return True
