"""`produce`, `tail` and `check` on real servers, as processes."""

import json
import signal
import subprocess
import threading
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from eventbridge.domain.routing import shard_of
from tests.integration.entrypoints.processes import LIMIT_SECONDS, PROGRAM, environment, eventbridge
from tests.servers import RedisServer
from tests.servers.choice import SharedKafka

NewRedis = Callable[..., RedisServer]


class Stream:
    """A user's stream in Redis, written as the bridge does (DELIVERY.md 3)."""

    def __init__(self, client: "Redis", shards: int = 8) -> None:
        self.user = str(uuid4())
        shard = shard_of(self.user, shards)
        self.key = f"eb:{{{shard}}}:user:{self.user}"
        self._client = client
        self._last = "0-0"
        client.hset("eb:layout", mapping={"version": 1, "shards": shards, "hash": "crc32"})
        client.hset(f"eb:{{{shard}}}:meta", mapping={"epoch": "abcd1234", "since": 1})

    def append(self, title: str) -> str:
        """Append a message; answers its position."""
        data = json.dumps({"payload": {"title": title}})
        fields: dict[Any, Any] = {
            "event": "Genesis.Session.Started",
            "data": data,
            "prev": self._last,
            "ts": 1_700_000_000_000,
        }
        added = self._client.xadd(self.key, fields)
        assert isinstance(added, bytes)
        self._last = added.decode()
        return f"abcd1234.{self._last}"


@pytest.fixture
def stream(redis_url: str) -> "Stream":
    return Stream(Redis.from_url(redis_url))


def titles(output: str) -> list[str]:
    return [json.loads(line)["data"]["payload"]["title"] for line in output.splitlines()]


def test_tail_shows_what_is_kept_from_the_start(settings: dict[str, str], stream: Stream) -> None:
    for title in ("a", "b", "c"):
        stream.append(title)

    done = eventbridge(
        "tail", "--user", stream.user, "--from", "start", "--count", "3", "--json", settings=settings
    )

    assert done.returncode == 0, done.stderr
    assert titles(done.stdout) == ["a", "b", "c"]


def test_tail_goes_on_after_a_position(settings: dict[str, str], stream: Stream) -> None:
    stream.append("a")
    position = stream.append("b")
    stream.append("c")

    done = eventbridge(
        "tail", "--user", stream.user.upper(), "--from", position, "--count", "1", "--json", settings=settings
    )

    assert titles(done.stdout) == ["c"]


def test_tail_starts_at_the_end_and_stops_with_exit_code_0(settings: dict[str, str], stream: Stream) -> None:
    stream.append("before")
    with subprocess.Popen(
        [PROGRAM, "tail", "--user", stream.user, "--json"],
        env=environment(settings),
        stdout=subprocess.PIPE,
        text=True,
    ) as tail:
        assert tail.stdout is not None
        appending = Repeatedly(lambda: stream.append("after"))
        line = tail.stdout.readline()
        appending.end()
        tail.send_signal(signal.SIGINT)
        code = tail.wait(LIMIT_SECONDS)

    assert titles(line) == ["after"]
    assert code == 0


class Repeatedly:
    """Does something again and again, since nobody can tell when a follower has begun."""

    def __init__(self, action: Callable[[], object]) -> None:
        self._ended = threading.Event()
        self._action = action
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.05):
            self._action()


def test_tail_finds_the_stream_whatever_the_settings_say_of_shards(
    settings: dict[str, str], redis_url: str
) -> None:
    stream = Stream(Redis.from_url(redis_url), shards=5)
    stream.append("a")

    done = eventbridge(
        "tail", "--user", stream.user, "--from", "start", "--count", "1", "--json", settings=settings
    )

    assert titles(done.stdout) == ["a"]


def test_tail_waits_for_a_redis_that_goes_away(settings: dict[str, str], redis_server: NewRedis) -> None:
    redis = redis_server(appendonly=True, appendfsync="always")
    stream = Stream(Redis.from_url(redis.url))
    stream.append("a")
    with subprocess.Popen(
        [PROGRAM, "tail", "--user", stream.user, "--from", "start", "--json"],
        env=environment({**settings, "REDIS__URL": redis.url}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as tail:
        assert tail.stdout is not None
        assert tail.stderr is not None
        first = tail.stdout.readline()
        redis.kill()
        waiting = tail.stderr.readline()
        redis.start()
        stream.append("b")
        second = tail.stdout.readline()
        tail.terminate()
        tail.wait(LIMIT_SECONDS)

    assert titles(first) == ["a"]
    assert waiting.startswith("waiting for Redis")
    assert titles(second) == ["b"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--user", ""], "must not be empty"),
        (["--user", "u", "--from", "yesterday"], "a position begins with an epoch"),
        ([], "--user"),
    ],
)
def test_tail_refuses_wrong_arguments_with_exit_code_2(
    arguments: list[str], sentence: str, settings: dict[str, str]
) -> None:
    done = eventbridge("tail", *arguments, settings=settings)

    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("tail", "--user", "u"), ("produce", "--count", "1")])
def test_an_absent_server_is_a_sentence_and_exit_code_1(
    command: tuple[str, ...], settings: dict[str, str]
) -> None:
    absent = {**settings, "REDIS__URL": "redis://127.0.0.1:1", "KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}

    done = eventbridge(*command, settings=absent)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("eventbridge: the s")
    assert "Traceback" not in done.stderr


def test_produce_plays_other_sessions_each_time_unless_a_seed_is_given() -> None:
    """Else pages that count by the events' ids would see the second run's as repeats."""
    absent = {"KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}

    first, second, seeded, again = (
        eventbridge("produce", "--users", "1", *seed, settings=absent).stderr.splitlines()[0]
        for seed in ((), (), ("--seed", "1"), ("--seed", "1"))
    )

    assert first.startswith("eventbridge tail --user ")
    assert first != second
    assert seeded == again


def test_produce_sends_the_lines_of_a_file_and_names_those_that_are_none(
    settings: dict[str, str], topic: str, kafka: SharedKafka
) -> None:
    lines = [
        b'{"aggregate_id": "s1", "payload": {}}',
        b"no json",
        b"",
        b'{"payload": {"session_id": "s2"}}',
        b"[]",
        b'{"aggregate_id": "s3", "pad": "' + b"x" * 1_100_000 + b'"}',
    ]

    done = eventbridge("produce", "--file", "-", settings=settings, stdin=b"\n".join(lines))

    assert done.returncode == 1
    assert "line 2 is not JSON" in done.stderr
    assert 'line 5 must be a JSON object, got "[]"' in done.stderr
    assert "line 6 is too large" in done.stderr
    assert done.stderr.splitlines()[-1] == f"2 records sent to {topic}, 3 left out"


def test_produce_stops_as_asked_and_stores_what_it_sent(settings: dict[str, str], topic: str) -> None:
    with subprocess.Popen(
        [PROGRAM, "produce", "--rate", "200"],
        env=environment(settings),
        stderr=subprocess.PIPE,
        text=True,
    ) as produce:
        assert produce.stderr is not None
        announced = [produce.stderr.readline() for _ in range(3)]
        threading.Event().wait(0.5)
        produce.terminate()
        rest = produce.stderr.read()
        code = produce.wait(LIMIT_SECONDS)

    assert all(line.startswith("eventbridge tail --user ") for line in announced)
    assert code == 0
    assert f"records sent to {topic}" in rest


def test_check_finds_everything_in_order(settings: dict[str, str]) -> None:
    done = eventbridge("check", settings=settings)

    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == "The bridge can do its work."
    assert f"topic {settings['KAFKA__TOPICS']}: It has 4 partitions." in done.stdout


def test_check_says_what_is_wrong_with_both_servers(
    settings: dict[str, str], topic: str, redis_server: NewRedis
) -> None:
    redis = redis_server(requirepass="secret-of-redis")
    wrong = {**settings, "KAFKA__TOPICS": f"{topic}.missing", "REDIS__URL": redis.url}

    done = eventbridge("check", "--json", settings=wrong)

    assert done.returncode == 1
    errors = [finding for finding in json.loads(done.stdout) if finding["level"] == "error"]
    assert {finding["server"] for finding in errors} == {"kafka", "redis"}
    assert any(f"{topic}.missing" in finding["sentence"] for finding in errors)


def test_check_leaves_nothing_behind(settings: dict[str, str], redis_url: str) -> None:
    eventbridge("check", settings=settings)

    with Redis.from_url(redis_url) as client:
        assert all(client.ttl(key) != -1 for key in client.scan_iter("*"))
        assert not client.exists("eb:layout")


def test_skip_raises_every_shards_watermark_and_says_what_may_be_missing(
    settings: dict[str, str], redis_url: str, topic: str
) -> None:
    client = Redis.from_url(redis_url)
    client.hset("eb:layout", mapping={"version": 1, "shards": 8, "hash": "crc32"})
    for shard in range(8):
        client.hset(f"eb:{{{shard}}}:wm", f"main/{topic}/0", 20 + shard)

    done = eventbridge("skip", "--topic", topic, "--partition", "0", "--to", "24", "--yes", settings=settings)

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{topic}/0: offsets 21 to 24 are passed over, as far as not applied.\n"
    kept = [client.hget(f"eb:{{{shard}}}:wm", f"main/{topic}/0") for shard in range(8)]
    assert kept == [b"24", b"24", b"24", b"24", b"24", b"25", b"26", b"27"]
