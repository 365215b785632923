"""Questions to brokers with a limit of time: aiokafka asks some of them for ever."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError, UnknownTopicOrPartitionError

from ...application.errors import SourceMisconfigured, SourceUnavailable
from .foreign_errors import translated

T = TypeVar("T")

TOPIC_LIMIT_SECONDS = 5.0
"""To hear of a topic; a broker that creates topics by itself takes well under a second."""


async def answer(limit_seconds: float, question: Awaitable[T], doing: str) -> T:
    """The answer, or the port's error, `SourceUnavailable` or `SourceMisconfigured`."""
    try:
        async with asyncio.timeout(limit_seconds):
            return await question
    except TimeoutError:
        raise SourceUnavailable(f"{doing}: no answer in {limit_seconds:g} s") from None
    except (KafkaError, OSError) as error:
        raise translated(error, doing) from error


async def known_topic(consumer: AIOKafkaConsumer, topic: str) -> None:
    """Make sure that a topic exists, may be described by us, and has a leader.

    Raises `SourceMisconfigured` for the first two: Kafka does not tell one from the other.
    """
    try:
        async with asyncio.timeout(TOPIC_LIMIT_SECONDS):
            await consumer.end_offsets([TopicPartition(topic, 0)])
    except (TimeoutError, KafkaTimeoutError, UnknownTopicOrPartitionError) as error:
        if consumer.partitions_for_topic(topic):
            raise SourceUnavailable(f"topic {topic} has no leader now") from error
        raise SourceMisconfigured(
            "unknown_topic", f"topic {topic} does not exist, or this user may not describe it"
        ) from error
    except (KafkaError, OSError) as error:
        raise translated(error, f"looking for topic {topic}") from error
