"""Addresses and settings of Redis."""

from typing import Any

import pytest

from eventbridge.adapters.redis.settings import Address, Durability, RedisSettings, Topology


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://localhost", Address(Topology.SINGLE, (("localhost", 6379),))),
        ("redis://", Address(Topology.SINGLE, (("localhost", 6379),))),
        ("redis://redis:7000/3", Address(Topology.SINGLE, (("redis", 7000),), 3)),
        ("rediss://[::1]:6380/0", Address(Topology.SINGLE, (("::1", 6380),), tls=True)),
        (
            "redis://us%40er:p%3Aa%2Fss@h",
            Address(Topology.SINGLE, (("h", 6379),), username="us@er", password="p:a/ss"),
        ),
        ("redis://:secret@h", Address(Topology.SINGLE, (("h", 6379),), password="secret")),
        (
            "rediss://h?ssl_ca_certs=ca.pem",
            Address(Topology.SINGLE, (("h", 6379),), tls=True, files=(("ssl_ca_certs", "ca.pem"),)),
        ),
        (
            "redis+sentinel://u:p@a:1,b/primary/2",
            Address(Topology.SENTINEL, (("a", 1), ("b", 26379)), 2, "primary", username="u", password="p"),
        ),
        ("redis+cluster://a:1,b:2", Address(Topology.CLUSTER, (("a", 1), ("b", 2)))),
        ("rediss+cluster://a", Address(Topology.CLUSTER, (("a", 6379),), tls=True)),
    ],
)
def test_an_address_is_read_from_a_url(url: str, address: Address) -> None:
    assert Address.parse(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        "http://user:secret@h",
        "redis+other://user:secret@h",
        "redis://user:secret@a,b",
        "redis://user:secret@h:x",
        "redis://user:secret@h:99999",
        "redis://user:secret@h/x",
        "redis://user:secret@h/1/2",
        "redis://user:secret@[h",
        "redis+sentinel://user:secret@h",
        "redis+cluster://user:secret@h/1",
        "rediss://user:secret@h?ssl_cert_reqs=none",
        "redis://user:secret@h?ssl_ca_certs=ca.pem",
    ],
)
def test_a_wrong_url_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+") as refusal:
        RedisSettings(url=url)

    assert "secret" not in str(refusal.value)


def test_no_text_of_settings_or_address_shows_the_password() -> None:
    settings = RedisSettings(url="redis://user:secret@h")

    assert "secret" not in f"{settings!r} {settings} {settings.address!r}"


@pytest.mark.parametrize(
    ("url", "shards", "in_force"),
    [
        ("redis://h", None, 8),
        ("redis+cluster://h", None, 128),
        ("redis+sentinel://h/s", None, 8),
        ("redis://h", 3, 3),
    ],
)
def test_the_number_of_shards_follows_the_topology_unless_it_is_set(
    url: str, shards: int | None, in_force: int
) -> None:
    assert RedisSettings(url=url, shards=shards).shard_count == in_force


@pytest.mark.parametrize(
    "wrong",
    [
        {"shards": 0},
        {"shards": 16_385},
        {"stream_max_length": 0},
        {"stream_ttl_seconds": 0},
        {"timeout_seconds": 0},
        {"timeout_seconds": float("nan")},
        {"timeout_seconds": float("inf")},
        {"durability": "paper"},
    ],
)
def test_a_wrong_setting_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        RedisSettings(**wrong)


def test_durability_may_be_given_by_its_word() -> None:
    word: Any = "disk"

    assert RedisSettings(durability=word).durability is Durability.DISK
