"""Targets, their shards and their names in keys."""

import re
import string
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbridge.domain.message import EventScope
from eventbridge.domain.routing import MAX_TARGET_BYTES, Target, TargetError, encode_target, shard_of, user

USER_ID = "c1f6a0d4-1b7e-4f0c-8a3d-2b9e6f5d4a03"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=MAX_TARGET_BYTES // 4)


def test_a_user_is_the_same_target_however_the_uuid_is_written() -> None:
    target = user(USER_ID.upper())

    assert target == user(USER_ID) == Target(EventScope.USER, USER_ID)
    assert {target: 1}[user(USER_ID)] == 1


def test_only_uuids_lose_their_case() -> None:
    assert user("Alice").id == "Alice"


@pytest.mark.parametrize(
    ("target_id", "shards", "shard"),
    [
        # CRC-32 (IEEE 802.3) of "123456789" is 0xCBF43926, the algorithm's published check value.
        ("123456789", 2**32, 0xCBF43926),
        ("123456789", 8, 6),
        ("ä", 2**32, 0x70B5F183),
    ],
)
def test_the_shard_is_the_crc32_of_the_ids_utf8_bytes(target_id: str, shards: int, shard: int) -> None:
    assert shard_of(target_id, shards) == shard


@pytest.mark.parametrize(
    ("target_id", "name"),
    [
        (USER_ID.upper(), USER_ID),
        ("a}x{b", "a%7Dx%7Bb"),
        ("a\r\nb\0 *:/", "a%0D%0Ab%00%20%2A%3A%2F"),
        ("-._~aZ0", "-._~aZ0"),
        ("аlice", "%D0%B0lice"),
        ("%41", "%2541"),
        (USER_ID.replace("-", ""), USER_ID.replace("-", "")),
    ],
)
def test_a_target_has_one_harmless_name_in_keys(target_id: str, name: str) -> None:
    assert encode_target(target_id) == name


@given(TEXT)
def test_names_in_keys_are_unreserved_and_unique(target_id: str) -> None:
    name = encode_target(target_id)

    assert re.fullmatch(f"[{string.ascii_letters}{string.digits}._~%-]+", name)
    assert unquote(name) == user(target_id).id


@pytest.mark.parametrize("refused", ["", "x" * (MAX_TARGET_BYTES + 1), "ä" * MAX_TARGET_BYTES, "\ud800"])
def test_refuses_what_cannot_name_a_target(refused: str) -> None:
    with pytest.raises(TargetError, match=r"^the id of a target must"):
        user(refused)
    with pytest.raises(TargetError, match=r"^the id of a target must"):
        encode_target(refused)


def test_the_longest_id_is_still_a_target() -> None:
    longest = "x" * MAX_TARGET_BYTES

    assert encode_target(longest) == user(longest).id == longest


def test_a_lone_surrogate_has_no_shard() -> None:
    with pytest.raises(TargetError, match="Unicode text"):
        shard_of("\ud800", 8)
