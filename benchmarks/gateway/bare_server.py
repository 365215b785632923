"""What a server of streams costs at the least: an `asyncio.Protocol` per client, and a hub that writes.

It subscribes to the same live copies and takes them apart in the same form. It does nothing else: no
resume, no proof of continuity, no limits, no users that are verified, no heartbeats, no metrics; a
client that does not read fills its memory. Its subscription is redis-py's, as one writes it; with
`--own-subscription` it reads the bytes by a protocol of its own, too, and nothing is left to leave out.
"""

from __future__ import annotations

import argparse
import asyncio
import resource

import hiredis
import msgspec
from redis.asyncio import Redis

from benchmarks.plain_relay import fastest_loop
from eventbridge.adapters.redis import keys

_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-store\r\n\r\n"
    b": ok\n\n"
)
_SHARDS = 8
_FIELDS = 7
_BACKLOG = 4096


class Hub:
    """Who listens to which target."""

    def __init__(self) -> None:
        self._listening: dict[str, list[asyncio.Transport]] = {}
        self._decode = msgspec.msgpack.Decoder(tuple[int | str, ...]).decode

    def enter(self, target: str, transport: asyncio.Transport) -> None:
        """Write to it from now on."""
        self._listening.setdefault(target, []).append(transport)

    def leave(self, target: str, transport: asyncio.Transport) -> None:
        """It is gone."""
        self._listening[target].remove(transport)

    def publish(self, message: bytes) -> None:
        """Write what one message holds to whom it is for."""
        _, epoch, *fields = self._decode(message)
        for target, identity, _, _, _, event, data in zip(*[iter(fields)] * _FIELDS, strict=True):
            listening = self._listening.get(str(target))
            if listening:
                frame = f"event: {event}\nid: {epoch}.{identity}\ndata: {data}\n\n".encode()
                for transport in listening:
                    transport.write(frame)


class Stream(asyncio.Protocol):
    """One client."""

    __slots__ = ("_hub", "_target", "_transport")

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._target = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Take the request; it is there in whole."""
        self._target = "user:" + data.split(b" ", 2)[1].partition(b"user=")[2].decode()
        self._hub.enter(self._target, self._transport)
        self._transport.write(_HEAD)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        del exc
        if self._target:
            self._hub.leave(self._target, self._transport)


class Live(asyncio.Protocol):
    """The subscription to all shards."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._reader = hiredis.Reader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Subscribe."""
        words = ("SUBSCRIBE", *(keys.live(shard) for shard in range(_SHARDS)))
        transport.write(" ".join(words).encode() + b"\r\n")  # type: ignore[attr-defined] # inline command

    def data_received(self, data: bytes) -> None:
        """Take messages; confirmations have another first word."""
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            if reply[0] == b"message":
                self._hub.publish(reply[2])


async def publish_what_redis_py_hears(hub: Hub, redis_port: int) -> None:
    """Subscribe with the client library; until killed."""
    async with Redis(port=redis_port) as client, client.pubsub(ignore_subscribe_messages=True) as heard:
        await heard.subscribe(*(keys.live(shard) for shard in range(_SHARDS)))
        async for message in heard.listen():
            hub.publish(message["data"])


async def main(port: int, redis_port: int, *, own_subscription: bool) -> None:
    """Serve until killed."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    loop = asyncio.get_running_loop()
    hub = Hub()
    server = await loop.create_server(lambda: Stream(hub), "127.0.0.1", port, backlog=_BACKLOG)
    if own_subscription:
        await loop.create_connection(lambda: Live(hub), "127.0.0.1", redis_port)
        await server.serve_forever()
    await publish_what_redis_py_hears(hub, redis_port)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("redis_port", type=int)
    parser.add_argument("--own-subscription", action="store_true")
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        runner.run(main(**vars(parser.parse_args())))
