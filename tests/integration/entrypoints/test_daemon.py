"""`eventbridge run` as operators meet it: start, absent servers, signals, exit codes."""

import json
import signal
import socket
from collections.abc import Callable, Mapping
from itertools import islice

from redis import Redis

from eventbridge.domain.white_list import WhiteList
from eventbridge.entrypoints.sample_events import sample_events, sample_users
from tests.integration.entrypoints.processes import eventbridge, running_bridge
from tests.servers import RedisServer
from tests.servers.choice import SharedKafka

NewRedis = Callable[..., RedisServer]


def on(redis: RedisServer, settings: Mapping[str, str]) -> dict[str, str]:
    """The settings with a Redis that may be broken."""
    return {**settings, "REDIS__URL": redis.url, "REDIS__TIMEOUT_SECONDS": "1"}


def visible_types(count: int) -> list[str]:
    """The types that pages see of the first `count` sample events of seed 7."""
    types = [event.event_type for event in islice(sample_events(1, seed=7), count)]
    return [name for name in types if WhiteList().allows(name)]


def test_service_startup_and_shutdown(settings: dict[str, str], topic: str, redis_url: str) -> None:
    (user,) = sample_users(1, seed=7)
    with running_bridge(settings) as bridge:
        bridge.wait_until_probed()
        bridge.wait_until_ready()
        produced = eventbridge(
            "produce", "--users", "1", "--seed", "7", "--count", "8", "--rate", "0", settings=settings
        )
        watched = eventbridge(
            "tail", "--user", user, "--from", "start", "--count", "6", "--json", settings=settings
        )
        bridge.signal(signal.SIGTERM)
        code = bridge.exit_code()

    assert produced.returncode == 0
    assert f"8 records sent to {topic}" in produced.stderr
    assert code == 0, bridge.output()
    assert "stopped" in bridge.lines[-1]
    messages = [json.loads(line) for line in watched.stdout.splitlines()]
    assert [message["event"] for message in messages] == visible_types(8)
    with Redis.from_url(redis_url) as client:
        assert client.hgetall("eb:layout")[b"shards"] == b"8"


def test_a_bridge_that_starts_again_goes_on_where_it_stopped(settings: dict[str, str]) -> None:
    (user,) = sample_users(1, seed=7)
    produce = ("produce", "--users", "1", "--seed", "7", "--rate", "0", "--count")
    expected: list[str] = []
    for count in (8, 12):
        expected += visible_types(count)
        with running_bridge(settings) as bridge:
            bridge.wait_until_probed()
            bridge.wait_until_ready()
            assert eventbridge(*produce, str(count), settings=settings).returncode == 0
            watched = eventbridge(
                *("tail", "--user", user, "--from", "start", "--json", "--count", str(len(expected))),
                settings=settings,
            )
            bridge.signal(signal.SIGINT)
            assert bridge.exit_code() == 0, bridge.output()

    assert [json.loads(line)["event"] for line in watched.stdout.splitlines()] == expected


def test_an_absent_redis_is_waited_for(settings: dict[str, str], redis_server: NewRedis) -> None:
    redis = redis_server()
    redis.stop()
    with running_bridge(on(redis, settings)) as bridge:
        bridge.wait_until_probed()
        bridge.wait_for_line(f"waiting for Redis at 127.0.0.1:{redis.port}")
        live, ready = bridge.health("/health/live"), bridge.health("/health/ready")
        redis.start()
        bridge.wait_for_line("answers after")
        bridge.wait_until_ready()

    assert live[0] == 200
    assert ready[0] == 503
    assert f"waiting for Redis at 127.0.0.1:{redis.port}" in str(ready[1]["reasons"])


def test_progress_is_told_again_and_again_and_a_signal_ends_the_wait(settings: dict[str, str]) -> None:
    absent = {**settings, "KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    with running_bridge(absent) as bridge:
        bridge.wait_for_line("waiting for Kafka at 127.0.0.1:1 (0 s)")
        bridge.wait_for_line("waiting for Kafka at 127.0.0.1:1 (5 s)")
        bridge.signal(signal.SIGTERM)
        code = bridge.exit_code()

    assert code == 0, bridge.output()


def test_a_topic_that_is_made_later_is_waited_for(
    settings: dict[str, str], kafka: SharedKafka, topic: str
) -> None:
    later = f"{topic}.later"
    with running_bridge({**settings, "KAFKA__TOPICS": later}) as bridge:
        bridge.wait_until_probed()
        line = bridge.wait_for_line("the group cannot be joined")
        ready = bridge.health("/health/ready")
        kafka.create_topic(later, partitions=1)
        bridge.wait_until_ready()

    assert later in line
    assert ready[0] == 503


def test_a_second_signal_stops_at_once(settings: dict[str, str], redis_server: NewRedis) -> None:
    redis = redis_server()
    slow = {**on(redis, settings), "REDIS__TIMEOUT_SECONDS": "3600", "COMMIT__CHECKPOINT_SECONDS": "0.1"}
    with running_bridge(slow) as bridge:
        bridge.wait_until_probed()
        bridge.wait_until_ready()
        redis.pause()
        eventbridge("produce", "--count", "8", "--rate", "0", settings=slow)
        bridge.signal(signal.SIGTERM)
        bridge.wait_for_line("stopping")
        bridge.signal(signal.SIGTERM)
        code = bridge.exit_code()

    assert code == 1
    assert "stopped at once by a second signal" in bridge.output()


def test_what_cannot_be_finished_in_time_is_left_to_the_next_start(
    settings: dict[str, str], redis_server: NewRedis
) -> None:
    redis = redis_server()
    slow = {**on(redis, settings), "REDIS__TIMEOUT_SECONDS": "3600", "COMMIT__CHECKPOINT_SECONDS": "0.1"}
    with running_bridge(slow, "--stop-timeout", "4") as bridge:
        bridge.wait_until_probed()
        bridge.wait_until_ready()
        redis.pause()
        eventbridge("produce", "--count", "8", "--rate", "0", settings=slow)
        bridge.signal(signal.SIGTERM)
        code = bridge.exit_code()

    assert code == 1
    assert "not finished in time" in bridge.output()


def test_a_layout_that_does_not_fit_is_a_wrong_setting(settings: dict[str, str], redis_url: str) -> None:
    with Redis.from_url(redis_url) as client:
        client.hset("eb:layout", mapping={"version": 1, "shards": 3, "hash": "crc32"})

    with running_bridge({**settings, "KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}) as bridge:
        code = bridge.exit_code()

    assert code == 2
    assert "eb:layout says shards = 3, the settings say 8" in bridge.lines[-1]
    assert "Traceback" not in bridge.output()


def test_a_port_that_is_taken_is_one_sentence(settings: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with running_bridge({**settings, "TELEMETRY__METRICS_PORT": str(port)}) as bridge:
            code = bridge.exit_code()

    assert code == 1
    mend = "gateway.host and port or telemetry.metrics_host and metrics_port say where"
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use; {mend}" in bridge.lines[-1]
    assert "Traceback" not in bridge.output()


def test_no_secret_is_in_any_line(settings: dict[str, str], redis_server: NewRedis) -> None:
    redis = redis_server(requirepass="hunter2-of-redis")
    secret = on(redis, settings) | {"REDIS__URL": f"redis://:wrong-hunter2@127.0.0.1:{redis.port}"}
    with running_bridge({**secret, "TELEMETRY__LOG_LEVEL": "debug"}) as bridge:
        bridge.wait_until_probed()
        line = bridge.wait_for_line("waiting for Redis")
        health = bridge.health("/health")
        bridge.signal(signal.SIGTERM)
        bridge.exit_code()

    assert "authentication" in line
    assert "hunter2" not in bridge.output()
    assert "hunter2" not in str(health)
