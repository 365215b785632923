"""Follows one target's stream, and writes its messages for people or programs."""

import asyncio
import enum
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from ..adapters.redis.connect import connect
from ..adapters.redis.history import StreamEntry
from ..adapters.redis.layout import read_layout
from ..adapters.redis.sse_service import RedisSSEService
from ..application.errors import SinkUnavailable
from ..domain.position import Position
from ..domain.routing import Target
from .adapter_settings import redis_settings
from .settings import Settings

_RETRY_SECONDS = 1.0


class Beginning(enum.Enum):
    """Where to begin, if not at a position."""

    START = "start"
    """With the first message kept."""
    END = "end"
    """With the next one to come."""


def beginning(text: str | None) -> Position | Beginning:
    """Read what `--from` says; not given is the end. Raises `InvalidPosition`."""
    if text is None:
        return Beginning.END
    return Beginning.START if text == "start" else Position.parse(text)


Show = Callable[[Position, StreamEntry], None]


async def follow(
    settings: Settings, target: Target, begin: Position | Beginning, count: int | None, show: Show
) -> None:
    """Show the messages after `begin`, at most `count`, as they come.

    The streams are found by the layout in Redis, whatever the settings say of shards, and nothing is
    written. A Redis that goes away while it is followed is waited for. Raises `SinkUnavailable` if it is
    away from the beginning, and `SinkMisconfigured`.
    """
    redis = redis_settings(settings)
    link = connect(redis)
    try:
        layout = await read_layout(link)
        if "shards" in layout:
            redis = replace(redis, shards=int(layout["shards"]))
        service = RedisSSEService(redis, settings.source, link=link)
        after = begin if isinstance(begin, Position) else None
        if begin is Beginning.END:
            after = await service.end(target)
        await _show_each(service, target, after, count, show)
    finally:
        await link.close()


async def _show_each(
    service: RedisSSEService, target: Target, after: Position | None, count: int | None, show: Show
) -> None:
    shown = 0
    while True:
        try:
            async for position, entry in service.follow(target, after):
                show(position, entry)
                after = position
                shown += 1
                if shown == count:
                    return
        except SinkUnavailable as error:
            sys.stderr.write(f"waiting for Redis: {error}\n")
            await asyncio.sleep(_RETRY_SECONDS)


def json_line(position: Position, entry: StreamEntry) -> str:
    """One message as a JSON object: `id`, `event`, `timestamp` (Kafka's, ms) and the page's `data`."""
    head = json.dumps({"id": str(position), "event": entry.event, "timestamp": entry.timestamp})
    return f'{head[:-1]}, "data": {entry.data.decode(errors="replace")}}}'


def columns() -> Callable[[Position, StreamEntry], str]:
    """Writes a message as a line for people: time, position, type and content, as wide as the terminal."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None

    def line(position: Position, entry: StreamEntry) -> str:
        at = datetime.fromtimestamp((entry.timestamp or position.id.ms) / 1000).astimezone()
        text = f"{at:%H:%M:%S.%f}"[:-3] + f"  {position}  {entry.event:<40}  {_content(entry.data)}"
        return text if width is None or len(text) <= width else f"{text[: width - 1]}…"

    return line


def _content(data: bytes) -> str:
    """What the page shows, on one line that cannot move the terminal's cursor."""
    try:
        message = json.loads(data)
    except ValueError:
        message = data.decode(errors="replace")
    if isinstance(message, dict):
        omitted = message.get("payload_omitted")
        message = message.get("payload", {}) if omitted is None else {"payload_omitted": omitted}
    if isinstance(message, dict):
        text = "  ".join(
            f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
            for name, value in message.items()
        )
    else:
        text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
    return "".join(character if character.isprintable() else " " for character in text)
