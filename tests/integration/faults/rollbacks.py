"""Redis servers that forget what they had acknowledged: one shard, or all, to an earlier point."""

from __future__ import annotations

from pathlib import Path

from redis import Redis

from tests.servers import RedisServer


class ShardCopy:
    """All keys of one shard as they were when this was made."""

    def __init__(self, server: RedisServer, shard: int) -> None:
        self._url = server.url
        self._pattern = f"eb:{{{shard}}}:*"
        with Redis.from_url(self._url) as client:
            # The keys belong together, and the bridge may write between two commands.
            self._dumps = client.eval(_DUMP, 0, self._pattern)

    def restore(self) -> None:
        """Roll the shard back, in one step."""
        with Redis.from_url(self._url) as client:
            client.eval(_RESTORE, 0, self._pattern, *self._dumps)


_DUMP = """
local found = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  found[#found + 1] = key
  found[#found + 1] = redis.call('DUMP', key)
end
return found
"""

_RESTORE = """
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  redis.call('DEL', key)
end
for at = 2, #ARGV, 2 do
  redis.call('RESTORE', ARGV[at], 0, ARGV[at + 1])
end
"""


def log_of(server: RedisServer) -> Path:
    """The append-only file that is written at present."""
    found = sorted(server.directory.glob("appendonlydir/*.incr.aof")) or [server.directory / "appendonly.aof"]
    return found[-1]


def lose_what_came_after(server: RedisServer, size: int) -> None:
    """As a power failure does: kill the server, and start it with only the first bytes of its log."""
    server.kill()
    log = log_of(server)
    assert size < log.stat().st_size
    with log.open("r+b") as file:
        file.truncate(size)
    server.start()
