"""`eventbridge serve` as operators meet it: start, stop with hundreds of pages, wrong settings, secrets."""

import asyncio
import json
import re
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from eventbridge.adapters.redis.leases import LEASE_SECONDS
from eventbridge.adapters.redis.settings import RedisSettings
from eventbridge.adapters.redis.sse_service import RedisSSEService
from eventbridge.domain.delivery import Batch, Entry, Mark, Partition
from eventbridge.domain.routing import shard_of
from eventbridge.domain.routing import user as user_target
from tests.integration.entrypoints.processes import Bridge, eventbridge, running_bridge
from tests.integration.gateway.running import AUDIENCE, KEY, bearer, new_user, running_gateway, token
from tests.integration.gateway.sse_client import Page, answer_of, ask, open_page
from tests.servers import RedisServer
from tests.servers.collector import running_collector
from tests.servers.process import free_port

NewRedis = Callable[..., RedisServer]


def settings(redis_url: str, **gateway: str) -> dict[str, str]:
    return {
        "REDIS__URL": redis_url,
        "REDIS__TIMEOUT_SECONDS": "1",
        "GATEWAY__PORT": str(free_port()),
        "GATEWAY__JWT_KEY": KEY,
        "GATEWAY__JWT_ALGORITHMS": "HS256",
        "GATEWAY__JWT_AUDIENCE": AUDIENCE,
        **{f"GATEWAY__{name}": value for name, value in gateway.items()},
    }


async def said(serving: Bridge, part: str) -> str:
    return await asyncio.to_thread(serving.wait_for_line, part)


async def ended(serving: Bridge) -> int:
    return await asyncio.to_thread(serving.exit_code)


async def test_a_stop_spreads_a_thousand_streams_and_no_page_misses_anything(redis_url: str) -> None:
    """Row 47: they are ended one after another, and told to come back one after another.

    Should all of them come back at once nevertheless, each gets what it missed, once.
    """
    limits = {"MAX_CONNECTIONS_PER_ADDRESS": "0", "CONNECTS_PER_SECOND": "0"}
    values = settings(redis_url, DRAIN_SECONDS="3", **limits)
    port = int(values["GATEWAY__PORT"])
    users = [new_user() for _ in range(1000)]
    loop = asyncio.get_running_loop()
    ends: list[float] = []

    async def watch(page: Page) -> None:
        await page.read_to_end()
        ends.append(loop.time())

    async def come_back(user: str, page: Page) -> list[str]:
        header = {**bearer(user), "Last-Event-ID": page.last_event_id}
        async with open_page(other.port, "/events", header) as again:
            await again.wait_for_bytes(b'"n": 3,')
            await other.publish(user, 4)
            await again.wait_for_bytes(b'"n": 4,')
        return [event.data for event in (*page.events, *again.events)]

    async with running_gateway(redis_url, max_connections_per_address=0, connects_per_second=0) as other:
        with running_bridge(values, command="serve") as serving:
            await said(serving, "streams are served")
            pages = [await ask(port, "/events", bearer(user)) for user in users]
            for page in pages:
                await page.wait_for_bytes(b"id: ")
            serving.signal(signal.SIGTERM)
            await said(serving, "stopping")
            watching = [asyncio.create_task(watch(page)) for page in pages]
            for user in users:
                await other.publish(user, 1)
            await asyncio.gather(*watching)
            code = await ended(serving)
        for page in pages:
            page.leave()
        for user in users:
            await other.publish(user, 2, 3)
        shown = await asyncio.gather(
            *(come_back(user, page) for user, page in zip(users, pages, strict=True))
        )

    assert code == 0, serving.output()
    assert ends[-1] - ends[0] > 1
    seconds = Counter((page.retry_ms or 0) // 1000 for page in pages)
    assert max(seconds.values()) < len(pages) / 2
    assert len({page.retry_ms for page in pages}) > len(pages) / 3
    assert all(b"retry: " in page.raw.rstrip().rpartition(b"\n")[2] for page in pages)
    for got in shown:
        assert [json.loads(data).get("n") for data in got] == [1, 2, 3, 4]


async def test_while_it_stops_new_pages_are_sent_away_and_it_is_not_ready(redis_url: str) -> None:
    values = settings(redis_url, DRAIN_SECONDS="60", MAX_CONNECTIONS_PER_ADDRESS="0")
    port = int(values["GATEWAY__PORT"])
    with running_bridge(values, command="serve") as serving:
        serving.wait_until_probed()
        await asyncio.to_thread(serving.wait_until_ready)
        pages = [await ask(port, "/events", bearer(new_user())) for _ in range(150)]
        serving.signal(signal.SIGTERM)
        await said(serving, "stopping")
        ready = await asyncio.to_thread(serving.health, "/health/ready")
        public = await answer_of(port, "/health/ready")
        async with open_page(port, "/events", bearer(new_user())) as late:
            await late.read_to_end()
        serving.signal(signal.SIGTERM)
        code = await ended(serving)
        for page in pages:
            page.leave()

    assert ready[0] == public[0] == 503
    assert late.status == 200
    assert late.events == []
    assert late.retry_ms is not None
    assert code == 1
    assert "stopped at once by a second signal" in serving.output()


async def test_an_absent_redis_is_waited_for_while_pages_connect_already(redis_server: NewRedis) -> None:
    redis = redis_server()
    redis.stop()
    values = settings(redis.url)
    port = int(values["GATEWAY__PORT"])
    user = new_user()
    with running_bridge(values, command="serve") as serving:
        await said(serving, f"waiting for Redis at 127.0.0.1:{redis.port}")
        live = await answer_of(port, "/health/live")
        ready = await answer_of(port, "/health/ready")
        async with open_page(port, "/events", bearer(user)) as page:
            redis.start()
            await said(serving, "answers after")
            await page.wait_for(lambda: bool(page.last_event_id))
        serving.signal(signal.SIGINT)
        code = await ended(serving)

    assert (live[0], ready[0]) == (200, 503)
    assert code == 0, serving.output()


async def test_a_signal_ends_the_wait_for_redis(redis_server: NewRedis) -> None:
    redis = redis_server()
    redis.stop()
    values = settings(redis.url)
    with running_bridge(values, command="serve") as serving:
        await said(serving, "waiting for Redis")
        page = await ask(int(values["GATEWAY__PORT"]), "/events", bearer(new_user()))
        serving.signal(signal.SIGTERM)
        await page.read_to_end()
        code = await ended(serving)
        page.leave()

    assert code == 0, serving.output()
    assert "Traceback" not in serving.output()


def test_what_keeps_it_from_serving_is_one_line_per_mistake() -> None:
    unset = eventbridge("serve", settings={"GATEWAY__CORS_ORIGINS": "*"})
    open_to_all = eventbridge("serve", settings={"GATEWAY__AUTH": "none", "GATEWAY__HOST": "0.0.0.0"})
    private = "-----BEGIN PRIVATE KEY-----\nplanted\n-----END PRIVATE KEY-----"
    key = eventbridge("serve", settings={"GATEWAY__JWT_KEY": private, "GATEWAY__JWT_AUDIENCE": "pages"})

    for done in (unset, open_to_all, key):
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
    assert len(unset.stderr.splitlines()) == 3
    assert "EVENTBRIDGE__GATEWAY__CORS_ORIGINS" in unset.stderr
    assert "gateway.jwt_audience (default)" in unset.stderr
    assert "EVENTBRIDGE__GATEWAY__AUTH" in open_to_all.stderr
    assert "private key" in key.stderr
    assert "planted" not in key.stderr


async def test_without_authentication_it_says_so_loudly(redis_url: str) -> None:
    values = settings(redis_url) | {"GATEWAY__AUTH": "none"}
    user = new_user()
    with running_bridge(values, command="serve") as serving:
        line = await said(serving, "NO AUTHENTICATION")
        await said(serving, "streams are served")
        async with open_page(int(values["GATEWAY__PORT"]), f"/events?user={user}") as page:
            await page.wait_for(lambda: bool(page.last_event_id))
        nobody = await answer_of(int(values["GATEWAY__PORT"]), "/events")

    assert '"level":"warning"' in line
    assert page.status == 200
    assert nobody[0] == 400


async def test_the_demos_page_is_served_where_it_is_asked_for_and_needs_no_tokens(redis_url: str) -> None:
    values = settings(redis_url)
    port = int(values["GATEWAY__PORT"])
    with_tokens = await asyncio.to_thread(eventbridge, "serve", "--demo", settings=values)
    with running_bridge(values | {"GATEWAY__AUTH": "none"}, "--demo", command="serve") as serving:
        await said(serving, "streams are served")
        page = await answer_of(port, "/")
        script = await answer_of(port, "/demo.js")
        stage = await answer_of(port, "/demo/stage")

    assert with_tokens.returncode == 2
    assert "--demo wants gateway.auth=none" in with_tokens.stderr
    assert b"<title>EventBridge" in page[2]
    assert page[1]["content-security-policy"].startswith("default-src 'none'")
    assert script[1]["content-type"].startswith("text/javascript")
    assert stage[0] == 404


async def test_only_the_demos_page_may_cut_a_users_connections_and_ask_for_kafkas_timestamps(
    redis_url: str,
) -> None:
    ann, bob = new_user(), new_user()
    values = settings(redis_url, AUTH="none")
    port = int(values["GATEWAY__PORT"])
    cut, own_page = f"/demo/cut?user={ann}", {"Sec-Fetch-Site": "same-origin"}
    shard, partition = shard_of(ann, 8), Partition("t", 0)
    told = Entry(1, user_target(ann), "Told", b"{}", 1_700_000_000_123)
    sink = RedisSSEService(RedisSettings(url=redis_url), "main")
    await sink.apply(Batch(shard, (Mark(partition, None, 0),)))
    with running_bridge(values, "--demo", command="serve") as serving:
        await said(serving, "streams are served")
        async with (
            open_page(port, f"/events?user={ann}") as page,
            open_page(port, f"/events?user={ann}") as second,
            open_page(port, f"/events?user={bob}") as other,
        ):
            await page.wait_for(lambda: bool(page.last_event_id))
            await second.wait_for(lambda: bool(second.last_event_id))
            await sink.apply(Batch(shard, (Mark(partition, 0, 1),), (told,)))
            await page.next_event()
            await second.next_event()
            told_id = page.last_event_id.partition(".")[2]
            times = await answer_of(port, f"/demo/times?user={ann}&from={told_id}")
            nonsense = await answer_of(port, f"/demo/times?user={ann}&from=yesterday")
            foreign = await answer_of(port, cut, {"Sec-Fetch-Site": "cross-site"}, method="POST")
            tool = await answer_of(port, cut, method="POST")
            assert not page.ended
            done = await answer_of(port, cut, own_page, method="POST")
            await page.read_to_end()
            await second.read_to_end()
            again = await answer_of(port, cut, own_page, method="POST")
            await other.wait_for(lambda: bool(other.last_event_id))
    await sink.close()
    with running_bridge(values, command="serve") as serving:
        await said(serving, "streams are served")
        without_demo = [
            (await answer_of(port, cut, own_page, method="POST"))[0],
            (await answer_of(port, f"/demo/times?user={ann}&from=0-1"))[0],
        ]

    assert json.loads(times[2]) == {"times": {told_id: 1_700_000_000_123}}
    assert (nonsense[0], foreign[0], tool[0]) == (400, 403, 403)
    assert (json.loads(done[2]), json.loads(again[2])) == ({"cut": 2}, {"cut": 0})
    assert not other.ended
    assert without_demo == [404, 404]


async def test_no_secret_is_in_any_line(redis_server: NewRedis) -> None:
    redis = redis_server(requirepass="hunter2-of-redis")
    planted = token(new_user())
    values = settings(f"redis://:hunter2-of-redis@127.0.0.1:{redis.port}/0")
    values |= {"TELEMETRY__LOG_LEVEL": "debug", "GATEWAY__STALE_AFTER_SECONDS": "0.5"}
    port = int(values["GATEWAY__PORT"])
    with running_bridge(values, command="serve") as serving:
        serving.wait_until_probed()
        await asyncio.to_thread(serving.wait_until_ready)
        header = {"Authorization": f"Bearer {planted}"}
        for path in ("/events?ticket=planted-ticket", f"/position?x={planted}", "/events?last=x"):
            await answer_of(port, path)
        await answer_of(port, "/position", {"Authorization": f"Bearer {planted}x"})
        async with open_page(port, f"/events?x={planted}", header) as page:
            await page.wait_for(lambda: bool(page.last_event_id))
            await asyncio.to_thread(redis.stop)
            await page.wait_for_bytes(b"event: stale")
            unavailable = await answer_of(port, "/position", header)
        metrics = await asyncio.to_thread(serving.scrape)
        serving.signal(signal.SIGTERM)
        await ended(serving)

    everything = serving.output() + metrics + unavailable[2].decode()
    assert unavailable[0] == 503
    for secret in ("hunter2", KEY, planted, planted.split(".")[2], "planted-ticket"):
        assert secret not in everything
    assert re.search(r"^eventbridge_gateway_connections [01]", metrics, re.MULTILINE)


async def test_a_sampled_events_trace_arrives_at_the_collector_without_any_secret(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, user = settings(redis_url, CORS_ORIGINS="https://app.example"), new_user()
    port, planted = int(values["GATEWAY__PORT"]), token(user)
    shard, partition = shard_of(user, 8), Partition("t", 0)
    trace_id = uuid4().hex
    sampled = Entry(1, user_target(user), "Told", b"{}", 0, f"00-{trace_id}-00f067aa0ba902b7-01")
    cookie = {"Cookie": f"__Host-eventbridge={planted}", "Origin": "https://app.example"}
    sink = RedisSSEService(RedisSettings(url=redis_url), "main")
    await sink.apply(Batch(shard, (Mark(partition, None, 0),)))
    with running_collector() as collector:
        collector.refuses = True
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        # The second is no header as the SDK would have it, so it says what it was given.
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=planted%20sent,x-other: planted-unsent")
        with running_bridge(values, command="serve") as serving:
            await said(serving, "streams are served")
            issued = await answer_of(port, "/ticket", bearer(user), method="POST")
            ticket = json.loads(issued[2])["ticket"]
            async with (
                open_page(port, f"/events?ticket={ticket}&x=planted-query") as page,
                open_page(port, "/events", cookie) as other,
            ):
                await page.wait_for(lambda: bool(page.last_event_id))
                await other.wait_for(lambda: bool(other.last_event_id))
                await sink.apply(Batch(shard, (Mark(partition, 0, 1),), (sampled,)))
                await page.next_event()
                await other.next_event()
            serving.signal(signal.SIGTERM)
            await ended(serving)
    await sink.close()

    ((_, body),) = collector.requests
    assert b"deliver user" in body
    assert bytes.fromhex(trace_id) in body
    assert user.encode() not in body
    assert "Failed to export" in serving.output()
    assert "Header format invalid" in serving.output()
    for secret in (KEY, planted, ticket, "planted"):
        assert secret.encode() not in body
        assert secret not in serving.output()


async def test_slots_of_a_gateway_that_was_killed_are_free_once_their_leases_are_over(redis_url: str) -> None:
    values = settings(redis_url, MAX_CONNECTIONS_PER_USER="1")
    port, user = int(values["GATEWAY__PORT"]), new_user()
    async with running_gateway(redis_url, max_connections_per_user=1) as other:
        with running_bridge(values, command="serve") as serving:
            await said(serving, "streams are served")
            page = await ask(port, "/events", bearer(user))
            await page.wait_for_bytes(b"id: ")
            serving.process.kill()
            await page.read_to_end()
            page.leave()
        async with open_page(other.port, "/events", bearer(user)) as refused:
            await refused.read_to_end()
        with Redis.from_url(redis_url) as redis:
            (lease,) = redis.keys("eb:gw:lease:*")
            left = redis.pttl(lease)
            held: Any = redis.zrange(lease, 0, -1)
            # As if that time had passed.
            redis.zincrby(lease, -left - 1, held[0])
        async with open_page(other.port, "/events", bearer(user)) as again:
            await again.wait_for(lambda: bool(again.last_event_id))

    assert refused.last_event_id == ""
    assert 0 < left <= LEASE_SECONDS * 1000
