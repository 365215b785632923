"""A TCP proxy before a Redis server: loses replies, cuts requests, goes silent, leads elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Self

Command = Sequence[bytes]
"""One command as it was sent, a word each."""

Picks = Callable[[Command], bool]
"""Whether a fault is meant for this command."""


def is_append(command: Command) -> bool:
    """Whether this is a call of the script with streams to append to."""
    return command[0] == b"EVALSHA" and int(command[2]) > 3


def is_script(command: Command) -> bool:
    """Whether this is a call of the script, with entries or without."""
    return command[0] == b"EVALSHA"


class RedisProxy:
    """Stands between clients and one Redis server at a time (`lead_to`); as an async context manager.

    A client of ours sends one request at a time on a connection, so the next answer is that request's.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.port = 0
        self.answered: list[Command] = []
        """The commands whose replies were lost, whole or with the connection."""
        self.cut_requests = 0
        self._lose: Picks | None = None
        self._cut: tuple[Picks, Callable[[int], int]] | None = None
        self._remaining = 0
        self._silent = False
        self._piece = 1 << 16
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Address of logical database 0 by way of the proxy."""
        return f"redis://127.0.0.1:{self.port}/0"

    def lose_replies(self, picks: Picks, *, times: int = 1 << 30) -> None:
        """Hand on so many of these commands, and cut the connection when their replies come."""
        self._lose, self._remaining = picks, times

    def cut_requests_at(self, picks: Picks, place: Callable[[int], int], *, times: int) -> None:
        """Of so many of these commands hand on only the first `place(size)` bytes, then cut."""
        self._cut, self._remaining = (picks, place), times

    def fall_silent(self) -> None:
        """Swallow all answers; requests still arrive and are carried out."""
        self._silent = True

    def trickle(self, size: int) -> None:
        """Hand answers on in pieces of so many bytes, a millisecond or more apart."""
        self._piece = size

    def heal(self) -> None:
        """Do nothing more; connections that lack an answer are closed."""
        self._lose = self._cut = None
        if self._silent:
            self._silent = False
            self.cut()

    def lead_to(self, port: int) -> None:
        """Close all connections; new ones reach this server."""
        self._target = port
        self.cut()

    def cut(self) -> None:
        """Close all connections."""
        for task in self._tasks:
            task.cancel()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=1 << 26)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server
        self._server.close()
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        onward: asyncio.StreamWriter | None = None
        try:
            back, onward = await asyncio.open_connection("127.0.0.1", self._target)
            lost = asyncio.Event()
            async with asyncio.TaskGroup() as both:
                both.create_task(self._requests(reader, onward, lost))
                both.create_task(self._answers(back, writer, lost))
        except (asyncio.CancelledError, OSError, EOFError, ExceptionGroup):
            pass
        finally:
            for each in (writer, onward):
                if each is not None:
                    each.transport.abort()

    async def _requests(
        self, reader: asyncio.StreamReader, onward: asyncio.StreamWriter, lost: asyncio.Event
    ) -> None:
        while True:
            frame, command = await _command(reader)
            if self._cut and self._remaining > 0 and self._cut[0](command):
                self._remaining -= 1
                onward.write(frame[: self._cut[1](len(frame))])
                await onward.drain()
                # An orderly end: what was handed on is read by the server before it sees it.
                onward.write_eof()
                self.cut_requests += 1
                raise EOFError
            if self._lose and self._remaining > 0 and self._lose(command):
                self._remaining -= 1
                self.answered.append(command)
                lost.set()
            onward.write(frame)
            await onward.drain()

    async def _answers(
        self, back: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: asyncio.Event
    ) -> None:
        while chunk := await back.read(1 << 16):
            if lost.is_set():
                break
            if not self._silent:
                await self._hand_on(chunk, writer)
        raise EOFError

    async def _hand_on(self, chunk: bytes, writer: asyncio.StreamWriter) -> None:
        for place in range(0, len(chunk), self._piece):
            writer.write(chunk[place : place + self._piece])
            await writer.drain()
            if self._piece < len(chunk):
                await asyncio.sleep(0.001)


async def _command(reader: asyncio.StreamReader) -> tuple[bytes, Command]:
    head = await reader.readuntil(b"\r\n")
    frame, words = [head], []
    for _ in range(int(head[1:])):
        size = await reader.readuntil(b"\r\n")
        word = await reader.readexactly(int(size[1:]) + 2)
        frame += (size, word)
        words.append(word[:-2])
    return b"".join(frame), words
