"""What goes wrong between the sink and one Redis server, and that the streams stay exact (FAULTS.md)."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from eventbridge.adapters.redis import keys
from eventbridge.adapters.redis.settings import Durability, RedisSettings
from eventbridge.adapters.redis.sse_service import RedisSSEService
from eventbridge.application.errors import SinkMisconfigured, SinkUnavailable
from eventbridge.domain.delivery import Applied, Bad, Gap
from eventbridge.domain.message import SSEMessage
from eventbridge.testing.cancellation import cancelled_at
from tests.integration.redis.sink import TARGETS, apply, batch, begin, entry, offsets
from tests.servers import RedisServer
from tests.servers.embedded import EmbeddedRedis
from tests.servers.proxy import RedisProxy, is_script

NewServer = Callable[..., RedisServer]


@pytest.fixture(params=["system", "embedded"])
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """Redis 7, and 6.2, whose scripts know no first line."""
    with EmbeddedRedis() if request.param == "embedded" else RedisServer() as started:
        yield started


def sink_of(url: str, **more: object) -> RedisSSEService:
    options: dict[str, object] = {"shards": 1, "timeout_seconds": 2, **more}
    return RedisSSEService(RedisSettings(url=url, **options), "main")  # type: ignore[arg-type]  # as given


async def test_a_call_whose_reply_was_lost_is_applied_once(server: RedisServer) -> None:
    async with RedisProxy(server.port) as proxy, sink_of(proxy.url) as sink:
        await begin(sink)
        proxy.lose_replies(is_script, times=1)
        call = batch(-1, 0, entry(0))

        with pytest.raises(SinkUnavailable) as lost:
            await apply(sink, call)
        again = await apply(sink, call)

        assert lost.value.reason == "connection"
        assert isinstance(again, Applied)
        assert (again.appended, again.watermark) == (0, 0)
        assert offsets(server.url) == [0]


@pytest.mark.parametrize("place", [1, 40, 300, -200, -1])
async def test_a_request_that_was_cut_is_applied_once(server: RedisServer, place: int) -> None:
    async with RedisProxy(server.port) as proxy, sink_of(proxy.url) as sink:
        await begin(sink)
        proxy.cut_requests_at(is_script, lambda size: place % size, times=1)
        call = batch(-1, 0, entry(0))

        with pytest.raises(SinkUnavailable):
            await apply(sink, call)
        again = await apply(sink, call)

        assert proxy.cut_requests == 1
        assert isinstance(again, Applied)
        assert offsets(server.url) == [0]


async def test_a_server_that_falls_silent_is_given_up_after_the_time_out(server: RedisServer) -> None:
    async with RedisProxy(server.port) as proxy, sink_of(proxy.url, timeout_seconds=0.3) as sink:
        await begin(sink)
        proxy.fall_silent()

        with pytest.raises(SinkUnavailable) as silent:
            await apply(sink, batch(-1, 0, entry(0)))
        proxy.heal()
        again = await apply(sink, batch(-1, 0, entry(0)))

        assert silent.value.reason == "timeout"
        assert isinstance(again, Applied)
        assert offsets(server.url) == [0]


async def test_wherever_a_call_is_cancelled_the_next_one_reads_its_own_reply(server: RedisServer) -> None:
    async with sink_of(server.url) as sink:
        await begin(sink)
        offset, suspended = 0, True

        while suspended:
            call = batch(offset - 1, offset, entry(offset))
            suspended = await cancelled_at(offset + 1, sink.apply(call))
            answers = await asyncio.gather(*(apply(sink, call) for _ in range(3)))
            page = await sink.history(TARGETS[0], None, 1000)

            assert [a.watermark for a in answers if isinstance(a, Applied)] == [offset] * 3
            assert len(page.entries) == offset + 1
            offset += 1

        assert offset > 1, "the call never waited"
        assert offsets(server.url) == list(range(offset))


async def test_a_first_call_cancelled_while_it_connects_leaves_nothing_behind(server: RedisServer) -> None:
    suspended, count = True, 0
    async with sink_of(server.url) as first:
        await begin(first)

    while suspended:
        count += 1
        sink = sink_of(server.url)
        try:
            suspended = await cancelled_at(count, sink.apply(batch(-1, 0, entry(0))))
            assert isinstance(await apply(sink, batch(-1, 0, entry(0))), Applied)
        finally:
            await sink.close()

    assert count > 3
    assert offsets(server.url) == [0]


async def test_a_close_that_is_cancelled_as_it_begins_closes_every_connection(
    redis_server: NewServer,
) -> None:
    server = redis_server()
    sink = sink_of(server.url)
    await begin(sink)

    closing = asyncio.create_task(sink.close())
    await asyncio.sleep(0)  # to where it begins to wait
    closing.cancel()
    await asyncio.wait({closing})

    async with asyncio.timeout(5):
        while "name=eventbridge" in str(await asyncio.to_thread(server.command, "CLIENT", "LIST")):
            pass


async def test_scripts_that_are_flushed_all_the_time_are_loaded_again(server: RedisServer) -> None:
    async with sink_of(server.url) as sink:
        await begin(sink)
        done = asyncio.Event()

        async def flush() -> None:
            while not done.is_set():
                await asyncio.to_thread(server.command, "SCRIPT", "FLUSH")

        async with asyncio.TaskGroup() as both:
            both.create_task(flush())
            for offset in range(200):
                answer: object = None
                while not isinstance(answer, Applied):
                    with suppress(SinkUnavailable):
                        answer = await apply(sink, batch(offset - 1, offset, entry(offset)))
            done.set()

        assert offsets(server.url) == list(range(200))


async def test_a_full_server_refuses_whole_batches_and_goes_on_when_there_is_room(
    server: RedisServer,
) -> None:
    async with sink_of(server.url) as sink:
        await begin(sink)
        server.command("CONFIG", "SET", "maxmemory", "1")
        call = batch(-1, 19, *(entry(n, TARGETS[n % 5]) for n in range(20)))

        with pytest.raises(SinkUnavailable) as full:
            await apply(sink, call)
        written = server.command("EXISTS", *(keys.stream(0, target) for target in TARGETS))
        server.command("CONFIG", "SET", "maxmemory", "0")
        answer = await apply(sink, call)

        assert full.value.reason == "out_of_memory"
        assert written == 0
        assert isinstance(answer, Applied)
        assert answer.appended == 20
        assert offsets(server.url, TARGETS[3]) == [3, 8, 13, 18]


async def test_entries_for_what_is_no_stream_are_named_and_nothing_is_written(server: RedisServer) -> None:
    async with sink_of(server.url) as sink:
        await begin(sink)
        server.command("SET", keys.stream(0, TARGETS[1]), "no stream")

        refused = await apply(sink, batch(-1, 3, *(entry(n, TARGETS[n % 2]) for n in range(4))))
        untouched = offsets(server.url)
        without = await apply(sink, batch(-1, 3, entry(0), entry(2)))
        repeated = await apply(sink, batch(-1, 3, *(entry(n, TARGETS[n % 2]) for n in range(4))))

        assert refused == Bad((1, 3))
        assert untouched == []
        assert isinstance(without, Applied)
        assert without == Applied(2, 3, without.epoch)
        assert repeated == Applied(0, 3, without.epoch)
        assert offsets(server.url) == [0, 2]


async def test_a_stream_that_has_used_its_last_id_is_named_like_one_of_a_wrong_type(
    server: RedisServer,
) -> None:
    last = f"{2**64 - 1}-{2**64 - 1}"
    async with sink_of(server.url) as sink:
        await begin(sink)
        server.command("XADD", keys.stream(0, TARGETS[1]), last, "data", '{"n":9}')

        refused = await apply(sink, batch(-1, 1, entry(0), entry(1, TARGETS[1])))

        assert refused == Bad((1,))
        assert offsets(server.url) == []


async def test_our_own_hash_of_a_wrong_type_is_for_an_operator(server: RedisServer) -> None:
    async with sink_of(server.url) as sink:
        server.command("SET", keys.watermarks(0), "no hash")

        with pytest.raises(SinkMisconfigured) as refusal:
            await begin(sink)

        assert refusal.value.reason == "wrong_type"


async def test_rights_that_are_missing_leave_no_half_of_a_batch(redis_server: NewServer) -> None:
    users = {"bridge": "on >secret ~eb:* &other:* +@all"}
    server = redis_server(users=users)
    async with sink_of(server.url_for(user="bridge", password="secret")) as sink:
        with pytest.raises(SinkMisconfigured) as refusal:
            await begin(sink)
        await apply(sink, batch(None, -1))
        with pytest.raises(SinkMisconfigured):
            await apply(sink, batch(-1, 0, entry(0)))
        server.command("ACL", "SETUSER", "bridge", "allchannels")
        again = await apply(sink, batch(-1, 0, entry(0)))

    assert refusal.value.reason == "rights"
    assert "secret" not in str(refusal.value)
    assert isinstance(again, Applied)
    assert again.appended == 0
    assert offsets(server.url) == [0]


@pytest.mark.parametrize(
    "taken",
    ["xadd", "hset", "hdel", "pexpire", "publish", "xlen", "xrevrange", "hget", "hmget", "evalsha"],
)
async def test_wherever_a_right_is_missing_the_batch_is_applied_once_in_the_end(
    redis_server: NewServer, taken: str
) -> None:
    server = redis_server(users={"bridge": "on >secret ~eb:* &eb:* +@all"})
    call = batch(-1, 3, *(entry(n, TARGETS[n % 2]) for n in range(4)))
    async with sink_of(server.url_for(user="bridge", password="secret")) as sink:
        await begin(sink)
        server.command("XADD", keys.stream(0, TARGETS[0]), "*", "data", '{"n":9}')  # has no tail
        server.command("ACL", "SETUSER", "bridge", f"-{taken}")

        with pytest.raises(SinkMisconfigured) as refusal:
            await apply(sink, call)
        server.command("ACL", "SETUSER", "bridge", f"+{taken}")
        again = await apply(sink, call)

    assert refusal.value.reason == "rights"
    assert isinstance(again, Applied)
    assert offsets(server.url, TARGETS[0]) == [9, 0, 2]
    assert offsets(server.url, TARGETS[1]) == [1, 3]


async def test_a_wrong_password_is_for_an_operator_and_is_not_shown(redis_server: NewServer) -> None:
    server = redis_server(users={"bridge": "on >right ~eb:* &eb:* +@all"})
    sink = sink_of(server.url_for(user="bridge", password="a-secret"))

    with pytest.raises(SinkMisconfigured) as refusal:
        await sink.open()
    await sink.close()

    assert refusal.value.reason == "authentication"
    assert "a-secret" not in str(refusal.value)


async def test_without_the_replica_that_durability_asks_for_nothing_counts_as_done(
    redis_server: NewServer,
) -> None:
    server = redis_server()
    async with sink_of(server.url, durability=Durability.REPLICA, timeout_seconds=1) as sink:
        with pytest.raises(SinkUnavailable) as alone:
            await begin(sink)
        replica = redis_server(replica_of=server)
        call: object = None
        while call is None:
            with suppress(SinkUnavailable):
                call = await apply(sink, batch(-1, 0, entry(0)))
        replica.stop()
        with pytest.raises(SinkUnavailable):
            await apply(sink, batch(0, 1, entry(1)))

    assert alone.value.reason == "not_replicated"
    assert isinstance(call, Applied)
    assert offsets(server.url) == [0, 1]


async def test_durability_on_disk_is_refused_by_a_server_that_cannot_wait_for_it(server: RedisServer) -> None:
    sink = sink_of(server.url, durability=Durability.DISK)

    with pytest.raises(SinkMisconfigured, match=r"WAITAOF, so Redis 7\.2\.0 or later") as refusal:
        await sink.open()
    await sink.close()

    assert refusal.value.reason == "durability"


async def test_a_rollback_is_told_once_under_a_new_epoch(server: RedisServer) -> None:
    async with sink_of(server.url) as sink:
        await begin(sink)
        before = await apply(sink, batch(-1, 5, entry(5)))
        assert isinstance(before, Applied)
        server.command(
            "HSET", keys.watermarks(0), keys.watermark_field("main", batch(0, 0).marks[0].partition), 2
        )

        first = await apply(sink, batch(5, 6, entry(6), epoch=before.epoch))
        second = await apply(sink, batch(5, 6, entry(6), epoch=before.epoch))

        assert isinstance(first, Gap)
        assert first.epoch != before.epoch
        assert second == first == Gap(2, first.epoch)


async def test_a_message_by_itself_gets_a_position_in_the_streams_epoch(server: RedisServer) -> None:
    async with sink_of(server.url) as sink:
        target = TARGETS[0]

        position = await sink.publish_event(target.id, SSEMessage(event="note", data=b'{"n":1}'))
        page = await sink.history(target, None, 10)

        assert [str(page.position(each)) for each in page.entries] == [position]
        assert page.entries[0].timestamp is not None
        assert page.since is not None


async def test_streams_are_bounded_and_expire(server: RedisServer) -> None:
    async with sink_of(server.url, stream_max_length=10, stream_ttl_seconds=100) as sink:
        await begin(sink)
        for n in range(30):
            await apply(sink, batch(n * 20 - 1, n * 20 + 19, *(entry(n * 20 + k) for k in range(20))))

        kept = offsets(server.url)

        assert kept == list(range(600 - len(kept), 600))
        assert len(kept) < 250
        assert 0 < server.command("TTL", keys.stream(0, TARGETS[0])) <= 101
