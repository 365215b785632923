"""What a Redis server says about itself."""

from collections.abc import Mapping
from typing import Any

from redis.exceptions import ResponseError

from ...application.errors import SinkMisconfigured
from .errors import classify
from .link import Command, Link
from .settings import Durability

Version = tuple[int, int, int]
"""Of a Redis server."""

OLDEST: Version = (6, 2, 0)
"""What the bridge needs at least."""

WAITAOF_SINCE: Version = (7, 2, 0)
"""What durability disk needs."""


async def ask(link: Link, key: str, *command: str | bytes | int) -> Any:  # noqa: ANN401 - each command's reply has a shape of its own
    """Send one command to the server that has `key`; a refusal is raised as what it means."""
    [reply] = await link.call(key, command)
    return raise_refusal(reply)


async def ask_all(link: Link, key: str, *commands: Command) -> list[Any]:
    """Send commands together to the server that has `key`; the first refusal is raised as what it means."""
    return [raise_refusal(reply) for reply in await link.call(key, *commands)]


def raise_refusal(reply: object) -> Any:  # noqa: ANN401 - as above
    """Hand a reply on, or raise what the refusal means."""
    if isinstance(reply, ResponseError):
        raise classify(reply) from reply
    return reply


async def read_info(link: Link, key: str, section: str) -> Mapping[str, str]:
    """Return a section of INFO."""
    text: str | bytes = await ask(link, key, "INFO", section)
    lines = (text if isinstance(text, str) else text.decode()).splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


async def read_version(link: Link, key: str) -> Version:
    """Return the version of the server that has `key`; of a fork, the Redis version that it stands for."""
    info = await read_info(link, key, "server")
    major, minor, patch, *_ = [*info.get("redis_version", "0").split("."), "0", "0"]
    return int(major), int(minor), int(patch)


def version_text(version: Version) -> str:
    """Write a version as people do."""
    return ".".join(map(str, version))


def check_version(version: Version, durability: Durability) -> None:
    """Refuse a server that lacks what the bridge needs. Raises `SinkMisconfigured`."""
    if version < OLDEST:
        raise SinkMisconfigured(
            "version",
            f"the server is Redis {version_text(version)}; {version_text(OLDEST)} or later is needed",
        )
    if durability is Durability.DISK and version < WAITAOF_SINCE:
        raise SinkMisconfigured(
            "durability",
            f"durability disk needs WAITAOF, so Redis {version_text(WAITAOF_SINCE)} or later; "
            f"the server is {version_text(version)}",
        )
