"""Looks at Kafka before a bridge runs on it: what would work, and what would not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from ...application.errors import SourceMisconfigured, SourceUnavailable
from ...application.findings import Finding, Level
from .bounded_questions import answer, known_topic
from .client_manager import KafkaClientManager
from .foreign_errors import described
from .inside_aiokafka import close, stored_commits
from .settings import KafkaSettings

FETCH_LIMIT_SECONDS = 5.0
"""For the one fetch that proves the right to read."""


async def inspect(settings: KafkaSettings, dead_letter_topic: str | None = None) -> list[Finding]:
    """Look at brokers, topics, group and dead letters with the rights of these settings.

    Joins no group, moves no offset and writes no record. Raises nothing: what fails is a finding.
    """
    servers = ", ".join(settings.bootstrap_servers)
    try:
        clients = KafkaClientManager(settings)
    except SourceMisconfigured as error:
        return [Finding(Level.ERROR, "brokers", str(error))]
    failure = await clients.why_unreachable()
    if failure is not None:
        said = f"None of {servers} lets us in: {described(failure)}."
        return [Finding(Level.ERROR, "brokers", said)]
    findings = [Finding(Level.OK, "brokers", f"{servers} can be reached.")]
    if settings.security_protocol in ("PLAINTEXT", "SASL_PLAINTEXT"):
        said = "The connection is not encrypted; set SSL or SASL_SSL outside of a trusted network."
        findings.append(Finding(Level.WARNING, "encryption", said))
    elif not settings.ssl_check_hostname:
        said = "Certificates are not compared with host names: anyone with a certificate may pose as Kafka."
        findings.append(Finding(Level.WARNING, "encryption", said))
    try:
        async with _started(clients, clients.reader()) as reader:
            for topic in settings.topics:
                findings += await _topic(reader, topic)
            if dead_letter_topic is not None:
                findings.append(await _dead_letters(reader, dead_letter_topic))
        async with _started(clients, clients.consumer()) as member:
            findings.append(await _group(member, settings))
    except (SourceMisconfigured, SourceUnavailable) as error:
        findings.append(Finding(Level.ERROR, "brokers", f"{_sentence(error)}"))
    return findings


@asynccontextmanager
async def _started(
    clients: KafkaClientManager, consumer: AIOKafkaConsumer
) -> AsyncIterator[AIOKafkaConsumer]:
    try:
        await answer(clients.settings.start_limit_seconds, consumer.start(), "connecting")
        yield consumer
    finally:
        await close(consumer, clients.settings.stop_limit_seconds)


async def _topic(consumer: AIOKafkaConsumer, topic: str) -> list[Finding]:
    subject = f"topic {topic}"
    try:
        await known_topic(consumer, topic)
        numbers = sorted(consumer.partitions_for_topic(topic) or ())
        found = [Finding(Level.OK, subject, f"It has {_count(len(numbers), 'partition')}.")]
        found.append(await _readable(consumer, [TopicPartition(topic, number) for number in numbers]))
    except (SourceMisconfigured, SourceUnavailable) as error:
        return [Finding(Level.ERROR, subject, _sentence(error))]
    return found


async def _readable(consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> Finding:
    """Fetch once from each log's end: only fetching needs the right to read."""
    subject = f"reading {partitions[0].topic}"
    ends = await answer(FETCH_LIMIT_SECONDS, consumer.end_offsets(partitions), "asking for the log's end")
    consumer.assign(partitions)
    for partition in partitions:
        consumer.seek(partition, ends[partition])
    try:
        async with asyncio.timeout(FETCH_LIMIT_SECONDS):
            while any(consumer.last_poll_timestamp(partition) is None for partition in partitions):
                await consumer.getmany(timeout_ms=100)
    except TimeoutError:
        late = [p.partition for p in partitions if consumer.last_poll_timestamp(p) is None]
        return Finding(Level.ERROR, subject, f"No answer from the leader of partitions {late}.")
    except TopicAuthorizationFailedError:
        return Finding(Level.ERROR, subject, "This user lacks the right READ on the topic.")
    except KafkaError as error:
        return Finding(Level.ERROR, subject, f"{described(error)}.")
    return Finding(Level.OK, subject, "All partitions can be read.")


async def _group(consumer: AIOKafkaConsumer, settings: KafkaSettings) -> Finding:
    subject = f"group {settings.group_id}"
    asked = [TopicPartition(topic, 0) for topic in settings.topics]
    try:
        found = await answer(settings.request_timeout_seconds, stored_commits(consumer, asked), "asking")
    except SourceMisconfigured as error:
        if error.reason == "group_authorization":
            return Finding(Level.ERROR, subject, "This user lacks the right READ on the group.")
        return Finding(Level.ERROR, subject, _sentence(error))
    except SourceUnavailable as error:
        return Finding(Level.ERROR, subject, _sentence(error))
    known = "it has committed offsets before" if found else "it has committed nothing here yet"
    return Finding(Level.OK, subject, f"It may be used; {known}.")


async def _dead_letters(consumer: AIOKafkaConsumer, topic: str) -> Finding:
    subject = f"dead letters {topic}"
    try:
        await known_topic(consumer, topic)
    except (SourceMisconfigured, SourceUnavailable) as error:
        return Finding(Level.ERROR, subject, _sentence(error))
    # Kafka tells nobody beforehand whether he may write.
    return Finding(Level.OK, subject, "The topic is there; the right to write shows with the first record.")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
