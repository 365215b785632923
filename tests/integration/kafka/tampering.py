"""A broker's answers, changed on their way: what disks and networks do, and brokers would not send."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable
from typing import Any, Self

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from eventbridge.domain.delivery import Partition

Change = Callable[[bytes], bytes]

CRC_OFFSET = 17
CHECKED_FROM = 21
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


class TamperingProxy:
    """Stands between clients and one broker; clients see no other address than its own.

    `changes` maps a partition to what is done to the record batches of each fetch's answer. While
    `frozen`, nothing passes in either direction, and connections stay open.
    """

    def __init__(self, broker: str) -> None:
        host, _, port = broker.rpartition(":")
        self._broker = (host, int(port))
        self.changes: dict[Partition, Change] = {}
        self.fetches = 0
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.bootstrap = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=1 << 26)
        host, port = self._server.sockets[0].getsockname()
        self._address = (host, port)
        self.bootstrap = f"{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def freeze(self) -> None:
        self._thawed.clear()

    def thaw(self) -> None:
        self._thawed.set()

    def strand(self) -> None:
        """Let nothing pass on the connections that are open; new ones work."""
        self._thawed.clear()
        self._thawed = asyncio.Event()
        self._thawed.set()

    def cut(self) -> None:
        """Close all connections."""
        for task in self._tasks:
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        asked: dict[int, tuple[int, int]] = {}
        thawed = self._thawed
        onward: asyncio.StreamWriter | None = None
        try:
            back, onward = await asyncio.open_connection(*self._broker, limit=1 << 26)
            await asyncio.gather(
                self._requests(reader, onward, asked, thawed), self._answers(back, writer, asked, thawed)
            )
        except (asyncio.CancelledError, OSError, EOFError):
            pass
        finally:
            for each in (writer, onward):
                if each is not None:
                    each.transport.abort()

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        asked: dict[int, tuple[int, int]],
        thawed: asyncio.Event,
    ) -> None:
        while True:
            frame = await _frame(reader, thawed)
            key, version, correlation = struct.unpack_from(">hhi", frame)
            asked[correlation] = (key, version)
            writer.write(struct.pack(">i", len(frame)) + frame)

    async def _answers(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        asked: dict[int, tuple[int, int]],
        thawed: asyncio.Event,
    ) -> None:
        while True:
            frame = await _frame(reader, thawed)
            (correlation,) = struct.unpack_from(">i", frame)
            key, version = asked.pop(correlation)
            if key == MetadataRequest.API_KEY:
                frame = frame[:4] + self._addressed(MetadataRequest, version, frame[4:])
            elif key == FetchRequest.API_KEY:
                self.fetches += 1
                frame = frame[:4] + self._changed(FetchRequest, version, frame[4:])
            writer.write(struct.pack(">i", len(frame)) + frame)

    def _addressed(self, request: Any, version: int, body: bytes) -> bytes:
        answer = _response(request, version).decode(body)
        answer.brokers = [(node, *self._address, *more) for node, _, _, *more in answer.brokers]
        return bytes(answer.encode())

    def _changed(self, request: Any, version: int, body: bytes) -> bytes:
        answer = _response(request, version).decode(body)
        answer.topics = [
            (
                topic,
                [
                    (number, *rest, self._tampered(Partition(topic, number), records))
                    for number, *rest, records in partitions
                ],
            )
            for topic, partitions in answer.topics
        ]
        return bytes(answer.encode())

    def _tampered(self, partition: Partition, records: bytes) -> bytes:
        change = self.changes.get(partition)
        return change(records) if change and records else records


async def _frame(reader: asyncio.StreamReader, thawed: asyncio.Event) -> bytes:
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    frame = await reader.readexactly(size)
    await thawed.wait()
    return frame


def _response(request: Any, version: int) -> Any:
    (found,) = [each.RESPONSE_TYPE for each in request._CLASSES if version == each.API_VERSION]
    return found


def flipped(position: int) -> Change:
    """Flip the bits of one byte of the answer's first batch."""

    def change(records: bytes) -> bytes:
        changed = bytearray(records)
        changed[position] ^= 0xFF
        return bytes(changed)

    return change


def batch(
    *values: bytes, codec: str = "none", headers: list[tuple[str, bytes | None]] | None = None
) -> bytes:
    """A batch of records, as producers send it."""
    builder = DefaultRecordBatchBuilder(2, CODECS[codec], 0, -1, -1, -1, 1 << 30)
    for offset, value in enumerate(values):
        builder.append(offset, 1_700_000_000_000, b"key", value, headers or [])
    return bytes(builder.build())


def sealed(changed: bytes) -> bytes:
    """The batch with the checksum that fits its content."""
    return (
        changed[:CRC_OFFSET] + struct.pack(">I", calc_crc32c(changed[CHECKED_FROM:])) + changed[CHECKED_FROM:]
    )


async def produce_batch(bootstrap: str, partition: Partition, content: bytes) -> int:
    """Send a batch as it is; the broker's error code."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    await client.bootstrap()
    try:
        await client._wait_on_metadata(partition.topic)
        leader = client.cluster.leader_for_partition(TopicPartition(*partition))
        request = ProduceRequest(None, -1, 20_000, [(partition.topic, [(partition.number, content)])])
        answer = await client.send(leader, request)
        ((_, ((_, error, *_),)),) = answer.topics
        return int(error)
    finally:
        with contextlib.suppress(Exception):
            await client.close()
