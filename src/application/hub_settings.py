"""How the hub serves streams."""

import msgspec


class HubSettings(msgspec.Struct, frozen=True):
    """How streams are served."""

    heartbeat_seconds: float = 15
    """A page that got nothing for so long gets a sign of life."""
    stale_after_seconds: float = 10
    replay_max_entries: int = 1000
    """What a page gets at most when it comes back; more is a reset."""
    retry_ms: int = 2000
    """What pages are told to wait before they connect again, give or take a half."""
    resync_seconds: tuple[float, float] = (15, 30)
    """Every stream is checked that often, at random between the two (DELIVERY.md 5.3)."""
    page_entries: int = 100
    """Entries asked for in one read."""
    catch_ups_at_once: int = 8
    """Reads for pages that catch up which are under way together; others wait."""
    resyncs_at_once: int = 4
    probe_seconds: tuple[float, float] = (0.1, 2)
    """How soon a shard that is away is tried again, and how seldom at last."""
