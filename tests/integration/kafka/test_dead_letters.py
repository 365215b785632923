"""Rejected records are kept whole, or with a word on what was left out; never silently lost."""

import asyncio
import time
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from eventbridge.adapters.kafka.client_manager import KafkaClientManager
from eventbridge.adapters.kafka.dead_letters import KafkaDeadLetters
from eventbridge.application.errors import DeadLettersUnavailable
from eventbridge.application.ports import DeadLetter, Record
from eventbridge.domain.delivery import Partition
from tests.integration.conftest import NewTopic
from tests.integration.kafka.conftest import MakeSettings
from tests.integration.kafka.members import LIMIT
from tests.integration.kafka.tampering import TamperingProxy
from tests.servers.choice import SharedKafka
from tests.servers.topics import create_topic

MIB = 1 << 20
SOURCE = Partition("events", 3)


def _letter(record: Record, *, field: str | None = "payload.user_id") -> DeadLetter:
    return DeadLetter(SOURCE, record, "invalid", field, "payload.user_id: is not a UUID")


async def _kept(bootstrap: str, topic: str, count: int) -> list[tuple[Any, Any, dict[str, Any]]]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, number) for number in range(4)])
        found: list[tuple[Any, Any, dict[str, Any]]] = []
        async with asyncio.timeout(LIMIT):
            while len(found) < count:
                for records in (await consumer.getmany(timeout_ms=1000)).values():
                    found += [(record.key, record.value, dict(record.headers)) for record in records]
        return sorted(found, key=lambda each: int(each[2]["eventbridge-offset"]))
    finally:
        await consumer.stop()


async def test_a_record_is_kept_as_it_was_with_the_reason(
    kafka: SharedKafka, settings: MakeSettings, topic: str
) -> None:
    letters = KafkaDeadLetters(KafkaClientManager(settings()), topic)
    record = Record(17, 1_700_000_000_123, b"session", b"\xff not json", (("traceparent", b"00-1"),))

    await letters.keep([_letter(record)])
    await letters.stop()

    assert await _kept(kafka.bootstrap, topic, 1) == [
        (
            b"session",
            b"\xff not json",
            {
                "traceparent": b"00-1",
                "eventbridge-reason": b"invalid",
                "eventbridge-explanation": b"payload.user_id: is not a UUID",
                "eventbridge-field": b"payload.user_id",
                "eventbridge-topic": b"events",
                "eventbridge-partition": b"3",
                "eventbridge-offset": b"17",
                "eventbridge-timestamp": b"1700000000123",
            },
        )
    ]


async def test_many_letters_and_odd_ones_are_all_kept(
    kafka: SharedKafka, settings: MakeSettings, topic: str
) -> None:
    letters = KafkaDeadLetters(KafkaClientManager(settings()), topic)
    odd = [Record(0, 1, None, None), Record(1, 1, b"tombstone", None), Record(2, 1, None, b"no key")]
    many = [Record(number, 1, b"k", b"v") for number in range(3, 500)]

    await letters.keep([_letter(record, field=None) for record in (*odd, *many)])
    await letters.stop()
    found = await _kept(kafka.bootstrap, topic, 500)

    assert [(key, value) for key, value, _ in found[:4]] == [
        (None, b""),
        (b"tombstone", None),
        (None, b"no key"),
        (b"k", b"v"),
    ]
    assert found[0][2]["eventbridge-value-null"] == b"true"
    assert "eventbridge-field" not in found[0][2]
    assert [int(headers["eventbridge-offset"]) for _, _, headers in found] == list(range(500))


async def test_what_no_request_holds_is_left_out_aloud(
    kafka: SharedKafka, settings: MakeSettings, topic: str
) -> None:
    letters = KafkaDeadLetters(KafkaClientManager(settings()), topic)
    large = bytes(2 * MIB)
    records = [
        Record(0, 1, b"k", large, (("h", b"1"),)),
        Record(1, 1, b"k", b"v", (("h", large),)),
        Record(2, 1, large, b"v"),
        Record(3, 1, b"k", None, (), too_large=True),
    ]

    await letters.keep([_letter(record) for record in records])
    await letters.stop()
    found = await _kept(kafka.bootstrap, topic, 4)

    assert [(key, value) for key, value, _ in found] == [
        (b"k", b""),
        (b"k", b""),
        (None, b""),
        (b"k", None),
    ]
    value, headers, key, _ = (headers for _, _, headers in found)
    assert (value["h"], value["eventbridge-value-omitted"]) == (b"1", b"2097152")
    assert (headers["eventbridge-headers-omitted"], "h" in headers) == (b"2097153", False)
    assert key["eventbridge-key-omitted"] == b"2097152"


@pytest.mark.real_kafka
async def test_what_the_broker_finds_too_large_is_left_out_as_well(
    kafka: SharedKafka, settings: MakeSettings, group_id: str
) -> None:
    topic = f"small-{group_id}"
    create_topic(kafka.bootstrap, topic, config={"max.message.bytes": "2000"})
    letters = KafkaDeadLetters(KafkaClientManager(settings()), topic)

    await letters.keep([_letter(Record(0, 1, b"k", b"x" * 5000)), _letter(Record(1, 1, b"k", b"fits"))])
    await letters.stop()
    found = await _kept(kafka.bootstrap, topic, 2)

    assert [(value, headers.get("eventbridge-value-omitted")) for _, value, headers in found] == [
        (b"", b"5000"),
        (b"fits", None),
    ]


async def test_without_a_broker_nothing_is_kept_and_later_it_is(
    kafka: SharedKafka, settings: MakeSettings, new_topic: NewTopic
) -> None:
    topic = new_topic()
    async with TamperingProxy(kafka.bootstrap) as proxy:
        clients = KafkaClientManager(settings(bootstrap_servers=(proxy.bootstrap,), stop_limit_seconds=1.0))
        letters = KafkaDeadLetters(clients, topic, limit_seconds=1.0)
        await letters.keep([_letter(Record(0, 1, b"k", b"before"))])
        proxy.freeze()
        began = time.monotonic()

        for _ in range(2):
            with pytest.raises(DeadLettersUnavailable, match=topic):
                await letters.keep([_letter(Record(1, 1, b"k", b"meanwhile"))])
        assert time.monotonic() - began < 10

        proxy.thaw()
        letters = KafkaDeadLetters(clients, topic)
        await letters.keep([_letter(Record(1, 1, b"k", b"again"))])
        await letters.stop()

    values = [value for _, value, _ in await _kept(kafka.bootstrap, topic, 2)]
    assert (values[0], values[-1] in (b"meanwhile", b"again")) == (b"before", True)


@pytest.mark.real_kafka
async def test_a_topic_that_is_not_there_is_no_place_for_letters(settings: MakeSettings) -> None:
    letters = KafkaDeadLetters(KafkaClientManager(settings()), "no.such.topic", limit_seconds=2.0)

    with pytest.raises(DeadLettersUnavailable, match=r"no\.such\.topic"):
        await letters.keep([_letter(Record(0, 1, b"k", b"v"))])
