"""One exchange with Redis: commands sent together over one connection, their replies read in order.

A connection belongs to one call at a time, and one that was left in the middle, by an error or a
cancellation, is closed: no later call can read a reply that is not its own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, cast

import hiredis
from redis.asyncio import Connection, ConnectionPool
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.exceptions import (
    AskError,
    ClusterDownError,
    InvalidResponse,
    MovedError,
    ResponseError,
    SlotNotCoveredError,
)

from ...application.concealing import conceal
from .errors import FOREIGN, classify

MAX_CALLS = 64
"""Calls in flight; more wait, within their time-out."""

Command = tuple[str | bytes | int, ...]
Reply = object
"""What hiredis makes of a reply; a refusal is a `ResponseError` among the replies."""

_MAX_REDIRECTS = 5

_closing: set[asyncio.Future[None]] = set()
"""What is being closed; the loop alone would not keep it from being collected."""

pack: Callable[[Command], bytes] = getattr(hiredis, "pack_command")  # noqa: B009 - its stub knows 1-tuples only
"""The bytes of a command."""


class Link(Protocol):
    """A way to the server that has a key."""

    cluster: bool
    timeout: float
    """Seconds for one call, whatever it does."""

    async def call(self, key: str, *commands: Command) -> Sequence[Reply]:
        """Send the commands to the server that has `key`; answers a reply for each.

        Never sends them twice, except where the server said that it did not carry them out (MOVED, ASK).
        Raises `SinkUnavailable` and `SinkMisconfigured`.
        """

    async def home(self, key: str) -> str:
        """Name the server that has `key`, as far as is known. Raises like `call`."""

    async def dial(self, home: str) -> Connection:
        """Connect to such a server, apart from all calls; whoever asked closes it. Raises like `call`."""

    def doubt(self) -> None:
        """Take it that keys may have moved to other servers."""

    async def close(self) -> None:
        """Close every connection."""


class ServerLink:
    """To one server, or to the primary that Sentinels name."""

    cluster = False

    def __init__(self, pool: ConnectionPool, timeout: float, password: str | None = None) -> None:
        """`password` is kept out of errors; the pool has it for itself."""
        self.timeout = timeout
        self._pool = pool
        self._secrets = [password] if password else []
        # redis-py's pools raise where they are full; the Sentinel's has no waiting variant.
        self._free = asyncio.Semaphore(MAX_CALLS)

    async def call(self, key: str, *commands: Command) -> Sequence[Reply]:
        """As in `Link`."""
        del key
        with _foreign_errors_mapped(self._secrets):
            async with asyncio.timeout(self.timeout), self._free:
                connection = await self._connection()
                try:
                    return await _exchange(connection, commands)
                finally:
                    await self._pool.release(connection)

    async def home(self, key: str) -> str:
        """As in `Link`: it is one and the same."""
        del key
        return ""

    async def dial(self, home: str) -> Connection:
        """As in `Link`."""
        del home
        make: Callable[[], object] = self._pool.make_connection
        with _foreign_errors_mapped(self._secrets):
            return await _dialled(cast(Connection, make()), self.timeout)

    def doubt(self) -> None:
        """As in `Link`: whoever connects asks anew anyway."""

    async def close(self) -> None:
        """As in `Link`."""
        await carried_through(self._pool.disconnect())

    async def _connection(self) -> Connection:
        try:
            with _redis_expected():
                return await cast("Callable[[], Awaitable[Connection]]", self._pool.get_connection)()
        except InvalidResponse:
            # redis-py keeps a connection on which it stumbled as if it had logged in.
            await self._pool.disconnect(inuse_connections=False)
            raise


class ClusterLink:
    """To the nodes of a Cluster: follows redirections, and reads the slots anew after a failure."""

    cluster = True

    def __init__(self, client: RedisCluster, timeout: float, password: str | None = None) -> None:
        """`password` is kept out of errors; the client has it for itself."""
        self.timeout = timeout
        self._client = client
        self._secrets = [password] if password else []
        self._free = asyncio.Semaphore(MAX_CALLS)
        self._slots_doubtful = False

    async def call(self, key: str, *commands: Command) -> Sequence[Reply]:
        """As in `Link`."""
        with _foreign_errors_mapped(self._secrets):
            async with asyncio.timeout(self.timeout), self._free:
                await self._know_slots()
                try:
                    return await self._follow(key, commands)
                except BaseException:
                    self._slots_doubtful = True
                    raise

    async def home(self, key: str) -> str:
        """As in `Link`: `host:port`."""
        with _foreign_errors_mapped(self._secrets):
            async with asyncio.timeout(self.timeout):
                await self._know_slots()
                return self._node(key, None).name

    async def dial(self, home: str) -> Connection:
        """As in `Link`."""
        with _foreign_errors_mapped(self._secrets):
            node = self._client.get_node(node_name=home)
            if node is None:
                raise SlotNotCoveredError("a node has left the Cluster")
            make: Callable[..., Connection] = node.connection_class
            return await _dialled(make(**node.connection_kwargs), self.timeout)

    def doubt(self) -> None:
        """As in `Link`."""
        self._slots_doubtful = True

    async def close(self) -> None:
        """As in `Link`."""
        await carried_through(self._client.aclose())

    async def _know_slots(self) -> None:
        with _redis_expected():
            await self._client.initialize()
            if self._slots_doubtful:
                await self._client.nodes_manager.initialize()
                self._slots_doubtful = False

    async def _follow(self, key: str, commands: Sequence[Command]) -> Sequence[Reply]:
        asked: AskError | None = None
        replies: Sequence[Reply] = ()
        for _ in range(_MAX_REDIRECTS):
            node = self._node(key, asked)
            if asked and commands[0] == ("MULTI",):
                # Within a transaction ASKING would be queued; said before it, it holds to the end.
                replies = (await _on_node(node, [("ASKING",), *commands]))[1:]
            elif asked:
                asking = [part for command in commands for part in (("ASKING",), command)]
                replies = (await _on_node(node, asking))[1::2]
            else:
                replies = await _on_node(node, commands)
            redirect = next((reply for reply in replies if isinstance(reply, AskError)), None)
            if redirect is None:
                self._slots_doubtful |= any(isinstance(reply, ClusterDownError) for reply in replies)
                return replies
            asked = None
            if isinstance(redirect, MovedError):
                await self._client.nodes_manager.move_slot(redirect)
            else:
                asked = redirect
        self._slots_doubtful = True
        raise SlotNotCoveredError(f"redirected {_MAX_REDIRECTS} times")

    def _node(self, key: str, asked: AskError | None) -> ClusterNode:
        node = self._client.get_node(asked.host, asked.port) if asked else self._client.get_node_from_key(key)
        if node is None:
            raise SlotNotCoveredError("a node of the Cluster is not known yet")
        return node


async def carried_through(closing: Awaitable[None]) -> None:
    """Wait for it; it goes on where whoever waits is cancelled.

    redis-py closes nothing before the next turn of the loop: connections stayed open whose user was
    cancelled just then.
    """
    task = asyncio.ensure_future(closing)
    _closing.add(task)
    task.add_done_callback(_closing.discard)
    await asyncio.shield(task)


async def _on_node(node: ClusterNode, commands: Sequence[Command]) -> Sequence[Reply]:
    connection = node.acquire_connection()
    try:
        await node.disconnect_if_needed(connection)
        connect: Callable[[], Awaitable[None]] = connection.connect
        try:
            with _redis_expected():
                await connect()
        except InvalidResponse:
            await connection.disconnect(nowait=True)
            raise
        return await _exchange(connection, commands)
    finally:
        node.release(connection)


async def _exchange(connection: Connection, commands: Sequence[Command]) -> Sequence[Reply]:
    # redis-py closes the connection on whatever interrupts a send or a read (≥ 8.1).
    await connection.send_packed_command([pack(command) for command in commands], check_health=False)
    replies: list[Reply] = []
    try:
        with _redis_expected():
            for _ in commands:
                try:
                    replies.append(await connection.read_response())
                except ResponseError as refusal:
                    replies.append(refusal)
    finally:
        if len(replies) < len(commands):
            await connection.disconnect(nowait=True)
    return replies


async def _dialled(connection: Connection, limit: float) -> Connection:
    connect: Callable[[], Awaitable[None]] = connection.connect
    try:
        with _redis_expected():
            async with asyncio.timeout(limit):
                await connect()
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    return connection


@contextmanager
def _redis_expected() -> Iterator[None]:
    """For redis-py at work: it stumbles over what no Redis would answer."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise InvalidResponse(f"what answers is no Redis server ({type(error).__name__})") from error


@contextmanager
def _foreign_errors_mapped(secrets: Sequence[str]) -> Iterator[None]:
    try:
        yield
    except FOREIGN as error:
        conceal(error, secrets)
        raise classify(error) from error
