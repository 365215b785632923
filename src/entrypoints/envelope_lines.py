"""Envelopes from JSON lines: each becomes a record whose key is its session's id."""

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import BinaryIO

import msgspec

from .settings_errors import quoted

MAX_LINE_BYTES = 8 * 1024 * 1024
"""A longer line is no envelope; it is skipped without being held in memory."""


class NoEnvelope(ValueError):
    """A line that cannot be sent; the text says why."""


def session_of(line: bytes) -> str:
    """The id of the session that an envelope belongs to: `payload.session_id`, else `aggregate_id`.

    Nothing else is asked of it: whether the bridge accepts it is for the bridge to say. Raises `NoEnvelope`.
    """
    try:
        envelope = msgspec.json.decode(line)
    except UnicodeDecodeError:
        raise NoEnvelope("is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise NoEnvelope(f"is not JSON: {error}") from None
    if not isinstance(envelope, Mapping):
        raise NoEnvelope(f"must be a JSON object, got {quoted(line[:400].decode(errors='replace'))}")
    payload = envelope.get("payload")
    found = payload.get("session_id") if isinstance(payload, Mapping) else None
    session = envelope.get("aggregate_id") if found is None else found
    if not isinstance(session, str) or not session:
        raise NoEnvelope("names no session: payload.session_id or aggregate_id must be a text")
    return session


async def numbered_lines(file: BinaryIO) -> AsyncIterator[tuple[int, bytes | None]]:
    """The lines that are not empty, with their numbers from 1, as they come; None for one that is too long.

    A thread of its own reads, and may be left behind: a terminal that nobody types at would otherwise
    keep the process from ending.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[int, bytes | None] | None] = asyncio.Queue(maxsize=100)

    def read() -> None:
        # Without a loop any more, nobody wants the rest.
        with contextlib.suppress(RuntimeError, concurrent.futures.CancelledError):
            for number, line in enumerate(_lines(file), start=1):
                if line is None or line.strip():
                    item = (number, line and line.strip())
                    asyncio.run_coroutine_threadsafe(queue.put(item), loop).result()
            asyncio.run_coroutine_threadsafe(queue.put(None), loop).result()

    threading.Thread(target=read, name="lines", daemon=True).start()
    while (item := await queue.get()) is not None:
        yield item


def _lines(file: BinaryIO) -> Iterator[bytes | None]:
    while line := file.readline(MAX_LINE_BYTES + 1):
        if len(line) <= MAX_LINE_BYTES or line.endswith(b"\n"):
            yield line
            continue
        while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
            pass
        yield None
