"""Looks at both servers with the bridge's settings, and says in words what was found."""

import asyncio
import json
from collections.abc import Sequence

from ..adapters.kafka.inspection import inspect as inspect_kafka
from ..adapters.redis.inspection import inspect as inspect_redis
from ..application.findings import Finding, Level
from .adapter_settings import kafka_settings, redis_settings
from .settings import Settings

_MARKS = {Level.OK: "ok     ", Level.WARNING: "warning", Level.ERROR: "ERROR  "}

Findings = Sequence[tuple[str, Finding]]
"""Each with the server that it is about."""


async def look(settings: Settings) -> Findings:
    """Look at Kafka and Redis at the same time."""
    of_kafka, of_redis = await asyncio.gather(
        inspect_kafka(kafka_settings(settings), settings.kafka.dead_letter_topic),
        inspect_redis(redis_settings(settings)),
    )
    return [("kafka", finding) for finding in of_kafka] + [("redis", finding) for finding in of_redis]


def as_text(findings: Findings) -> str:
    """A line per finding; the last one says what it comes to."""
    lines = [
        f"{_MARKS[finding.level]}  {server}  {finding.subject}: {finding.sentence}"
        for server, finding in findings
    ]
    errors = sum(finding.level is Level.ERROR for _, finding in findings)
    end = "The bridge can do its work." if not errors else f"{errors} to mend before the bridge can work."
    return "\n".join([*lines, end])


def as_json(findings: Findings) -> str:
    """The findings for programs."""
    return json.dumps(
        [
            {
                "server": server,
                "level": finding.level.value,
                "subject": finding.subject,
                "sentence": finding.sentence,
            }
            for server, finding in findings
        ],
        ensure_ascii=False,
        indent=2,
    )
