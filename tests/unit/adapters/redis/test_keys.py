"""The names of keys and channels are public (DELIVERY.md 3), so they are pinned here."""

import pytest

from eventbridge.adapters.redis import keys
from eventbridge.domain.delivery import Partition
from eventbridge.domain.routing import user


def test_keys_and_channels_of_a_shard_share_its_hash_tag() -> None:
    target = user("0AF76519-16CD-43DD-8448-EB211C80319C")

    assert [keys.stream(7, target), keys.watermarks(7), keys.meta(7), keys.live(7), keys.LAYOUT] == [
        "eb:{7}:user:0af76519-16cd-43dd-8448-eb211c80319c",
        "eb:{7}:wm",
        "eb:{7}:meta",
        "eb:{7}:live",
        "eb:layout",
    ]


@pytest.mark.parametrize(
    ("identity", "key"),
    [
        ("a}x{b", "eb:{0}:user:a%7Dx%7Bb"),
        ("ü/\r\n", "eb:{0}:user:%C3%BC%2F%0D%0A"),
        ("a.b_c~d-e", "eb:{0}:user:a.b_c~d-e"),
    ],
)
def test_an_id_that_is_no_uuid_cannot_leave_its_slot(identity: str, key: str) -> None:
    assert keys.stream(0, user(identity)) == key


def test_the_fields_of_a_partition_name_source_topic_and_number() -> None:
    partition = Partition("genesis.session.events", 12)

    assert keys.watermark_field("main", partition) == "main/genesis.session.events/12"
    assert keys.timestamp_field("main", partition) == "main/genesis.session.events/12/ts"


def test_the_gateways_keys_name_whom_they_are_about() -> None:
    upper = "0AF76519-16CD-43DD-8448-EB211C80319C"

    assert [keys.lease(upper), keys.revoked_user(upper), keys.revoked_token(upper), keys.ticket("ab")] == [
        "eb:gw:lease:0af76519-16cd-43dd-8448-eb211c80319c",
        "eb:gw:revoked:user:0af76519-16cd-43dd-8448-eb211c80319c",
        "eb:gw:revoked:jti:0AF76519-16CD-43DD-8448-EB211C80319C",
        "eb:gw:ticket:ab",
    ]
    assert keys.CONTROL == "eb:gw:control"


@pytest.mark.parametrize(
    ("token_id", "key"),
    [("", ""), ("a b/\r\n", "a%20b%2F%0D%0A"), ("x" * 300, "x" * 300), ("\ud800", "%ED%A0%80")],
)
def test_a_tokens_id_may_be_any_text(token_id: str, key: str) -> None:
    assert keys.revoked_token(token_id) == f"eb:gw:revoked:jti:{key}"
