"""Which shards can be read now: found out by whoever reads, and by probes while one cannot."""

import asyncio
import logging
import random

from ..domain.errors import EventBridgeError
from .background import Background
from .cause_log import CauseLog
from .errors import SinkMisconfigured, SinkUnavailable
from .gateway_ports import EventFeed
from .hub_settings import HubSettings
from .ports import Clock
from .shard_watch import ShardWatch

log = logging.getLogger(__name__)


class ShardReach:
    """Keeps `ShardWatch.failing_since`, and says in the log what changes. For one event loop."""

    def __init__(
        self,
        feed: EventFeed,
        *,
        clock: Clock,
        settings: HubSettings,
        background: Background,
        chance: random.Random,
    ) -> None:
        self._feed = feed
        self._clock = clock
        self._settings = settings
        self._background = background
        self._chance = chance
        self._causes = CauseLog(log, clock)

    def failed(self, shard: ShardWatch, error: EventBridgeError) -> None:
        """A read failed: the shard is tried again until it answers."""
        self._causes.say("feed", logging.WARNING, f"streams cannot be read, tried again: {error}")
        if shard.failed(self._clock.monotonic()):
            self._background.spawn(self._probe(shard), "probe")

    def worked(self, shard: ShardWatch) -> None:
        """A read was answered."""
        if shard.worked():
            self._causes.say("feed back", logging.INFO, "streams can be read again", shard=shard.number)

    def doubt(self, shard: ShardWatch) -> None:
        """Find out whether it can be read."""
        self._background.spawn(self._look(shard), "look")

    def flush(self) -> None:
        """Log what has been counted meanwhile."""
        self._causes.flush()

    def close(self) -> None:
        """Log all that was counted."""
        self._causes.close()

    async def _look(self, shard: ShardWatch) -> None:
        channel = next(iter(shard.channels), None)
        if channel is None:
            shard.worked()  # nobody is left to ask for, and nothing is known
            return
        try:
            await self._feed.read_last(channel.target, 1)
        except (SinkUnavailable, SinkMisconfigured) as error:
            self.failed(shard, error)
        else:
            self.worked(shard)

    async def _probe(self, shard: ShardWatch) -> None:
        delay, longest = self._settings.probe_seconds
        while shard.failing_since is not None:
            await asyncio.sleep(delay * self._chance.uniform(0.5, 1))
            try:
                await self._look(shard)
            except Exception:
                # Nobody else would find out that the shard is back.
                log.exception("a probe failed, another follows", extra={"shard": shard.number})
            delay = min(delay * 2, longest)
