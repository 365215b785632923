"""The layout's own record in Redis, `eb:layout`: written once, compared at every start."""

from ...application.errors import SinkMisconfigured
from . import keys
from .link import Link
from .server import ask, ask_all

VERSION = "1"
HASH = "crc32"
"""How a target's shard is found (`domain.routing.shard_of`)."""


class LayoutMismatch(SinkMisconfigured):
    """What lies in Redis was written with another layout: going on would scatter streams."""

    def __init__(self, field: str, found: str, expected: str) -> None:
        self.field = field
        self.found = found
        self.expected = expected
        super().__init__(
            "layout",
            f"{keys.LAYOUT} says {field} = {found}, the settings say {expected}; "
            "set it to what is there, or use an empty Redis",
        )


async def record_layout(link: Link, shards: int) -> None:
    """Write the layout where there is none yet. Raises `LayoutMismatch`, and like `Link.call`."""
    wanted = {"version": VERSION, "shards": str(shards), "hash": HASH}
    writes = [("HSETNX", keys.LAYOUT, name, value) for name, value in wanted.items()]
    await ask_all(link, keys.LAYOUT, *writes)
    compare(await read_layout(link), wanted)


async def check_layout(link: Link, shards: int) -> bool:
    """Compare without writing; answers whether there is a layout. Raises `LayoutMismatch`."""
    found = await read_layout(link)
    if found:
        compare(found, {"version": VERSION, "shards": str(shards), "hash": HASH})
    return bool(found)


async def read_layout(link: Link) -> dict[str, str]:
    """Return what is recorded; empty where nothing is."""
    found: dict[bytes, bytes] = await ask(link, keys.LAYOUT, "HGETALL", keys.LAYOUT)
    return {name.decode(): value.decode(errors="replace") for name, value in found.items()}


def compare(found: dict[str, str], wanted: dict[str, str]) -> None:
    """Raise `LayoutMismatch` for the first difference."""
    for field, expected in wanted.items():
        if found.get(field) != expected:
            raise LayoutMismatch(field, found.get(field, "nothing"), expected)
