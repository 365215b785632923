"""The Lua script: its text for each Redis, its arguments, its answers, and how it is called."""

import secrets
from base64 import b32encode
from collections.abc import Collection, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from redis.exceptions import NoScriptError

from ...application.errors import SinkMisconfigured, SinkUnavailable
from ...domain.delivery import Answer, Applied, Bad, Batch, Entry, Gap, Lost, Mark
from ...domain.routing import Target
from . import keys, proof_format
from .link import Command, Link, Reply
from .server import Version, ask, raise_refusal, read_version

SHEBANG_SINCE: Version = (7, 0, 0)
"""From here on a script says `#!lua`, and is refused as a whole where memory or replicas are missing."""

SHARDED_CHANNELS_SINCE: Version = (7, 0, 0)
"""From here on a Cluster has `SPUBLISH`, which stays within the shard."""

_MAX_LOADS = 5
"""Loads of the script within one call, should somebody flush scripts all the time."""

_MAX_REMEMBERED = 16_384
"""Streams whose keys are remembered, some 3 MB; more begin anew."""

_encode = msgspec.msgpack.Encoder().encode


def new_epoch() -> str:
    """Return a random epoch: 8 characters of a-z and 2-7 (40 bits)."""
    return b32encode(secrets.token_bytes(5)).decode().lower()


def new_salt() -> int:
    """Return nine random digits (30 bits), the first not 0: what makes a call's ids its own."""
    return 100_000_000 + secrets.randbelow(900_000_000)


@cache
def source_for(version: Version) -> str:
    """Return the script as such a server takes it: 6.2 does not know the first line."""
    text = (files(__name__.rpartition(".")[0]) / "apply.lua").read_text(encoding="utf-8")
    return f"#!lua\n{text}" if version >= SHEBANG_SINCE else text


class StreamLimits(msgspec.Struct, frozen=True):
    """What bounds a stream."""

    max_length: int
    """Entries, about."""
    life_seconds: int
    """After the last entry."""


class ApplyScript:
    """Calls of the script. Servers keep it by its SHA-1 and are given its text only when they lack it."""

    def __init__(self, link: Link, source: str, limits: StreamLimits) -> None:
        self._link = link
        self._source = source
        self._limits = limits
        self._sha = ""
        self._streams: dict[Target, str] = {}
        self._live_command = "PUBLISH"

    async def apply(self, batch: Batch, *then: Command) -> tuple[list[Answer], Sequence[Reply]]:
        """Apply a batch; answers its answers, and the replies to the commands that were sent along.

        Raises ValueError for a batch with entries that has not exactly one mark, or initialises, and
        like `Link.call`.
        """
        if batch.entries and (len(batch.marks) != 1 or batch.marks[0].previous is None):
            raise ValueError("entries come with exactly one mark, which is no initialisation")
        marks = [part for mark in batch.marks for part in self._flat(mark)]
        if not marks:
            return [], ()
        shard = batch.shard
        index_of: dict[str, int] = {}
        flat: list[int | str] = []
        streams = self._streams
        for entry in batch.entries:
            key = streams.get(entry.target) or self._remember(shard, entry.target)
            index = index_of.setdefault(key, len(index_of) + 1)
            flat += (index, entry.offset, entry.event, str(entry.timestamp), entry.traceparent or "")
        arguments = (_encode(marks), _encode(flat), *[entry.data for entry in batch.entries])
        (epoch, *answers), replies = await self._run(shard, index_of, arguments, then)
        return [_answer(answer, epoch.decode(), batch.entries) for answer in answers], replies

    async def publish(
        self, shard: int, target: Target, event: str, data: bytes, *then: Command
    ) -> tuple[str, str, Sequence[Reply]]:
        """Append one entry that has no source position; answers epoch, id and the other replies.

        Raises `SinkMisconfigured` where the target's key is no stream, and like `Link.call`.
        """
        key = keys.stream(shard, target)
        arguments = (_encode([]), _encode([1, 0, event, "", ""]), data)
        (epoch, answer), replies = await self._run(shard, [key], arguments, then)
        if answer[0] == b"BAD":
            raise SinkMisconfigured("wrong_type", f"{key} takes no entries: it is no stream, or full")
        return epoch.decode(), answer[1].decode(), replies

    def _remember(self, shard: int, target: Target) -> str:
        if len(self._streams) == _MAX_REMEMBERED:
            self._streams.clear()
        key = self._streams[target] = keys.stream(shard, target)
        return key

    async def _run(
        self, shard: int, streams: Collection[str], arguments: Sequence[bytes], then: Sequence[Command]
    ) -> tuple[Any, Sequence[Reply]]:
        home = keys.watermarks(shard)
        if not self._sha:
            await self._load(home)
        for _ in range(_MAX_LOADS):
            call: Command = (
                "EVALSHA",
                self._sha,
                3 + len(streams),
                home,
                keys.meta(shard),
                keys.tails(shard),
                *streams,
                self._live_command,
                keys.live(shard),
                new_epoch(),
                new_salt(),
                self._limits.max_length,
                self._limits.life_seconds,
                *arguments,
            )
            reply, *others = await self._link.call(home, call, *then)
            if not isinstance(reply, NoScriptError):
                return raise_refusal(reply), others
            await self._load(home)
        raise SinkUnavailable("script_lost", "the server forgets the script as soon as it has it")

    async def _load(self, key: str) -> None:
        version = await read_version(self._link, key)
        if self._link.cluster and version >= SHARDED_CHANNELS_SINCE:
            self._live_command = "SPUBLISH"
        sha: bytes = await ask(self._link, key, "SCRIPT", "LOAD", source_for(version))
        self._sha = sha.decode()

    def _flat(self, mark: Mark) -> tuple[str, str, str, str, str]:
        return (
            keys.watermark_field(self._source, mark.partition),
            "" if mark.previous is None else str(mark.previous),
            str(mark.upto),
            proof_format.encode(mark),
            mark.epoch or "",
        )


def _answer(answer: Sequence[Any], epoch: str, entries: Sequence[Entry]) -> Answer:
    match answer:
        case [b"OK", appended, watermark]:
            return Applied(appended, int(watermark), epoch)
        case [b"GAP", watermark]:
            return Gap(int(watermark), epoch)
        case [b"LOST"]:
            return Lost()
        case [b"BAD", *indexes]:
            return Bad(tuple(entries[index].offset for index in indexes))
    raise SinkUnavailable("unexpected", f"the script answered {answer!r:.80}")
