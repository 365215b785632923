"""What an inspection of Kafka or Redis found, in words for whoever runs the bridge."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Level(enum.Enum):
    """How much a finding matters; the value is the word that is shown."""

    OK = "ok"
    """As it should be."""
    WARNING = "warning"
    """The bridge runs, with less than it promises."""
    ERROR = "error"
    """The bridge cannot do its work until an operator mends this."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    subject: str
    """What was looked at, in a word or two: `redis version`, `topic genesis.session.events`."""
    sentence: str
    """What was found and, where it is not well, what to do about it."""


def any_error(findings: Iterable[Finding]) -> bool:
    """Whether one of them keeps the bridge from its work."""
    return any(finding.level is Level.ERROR for finding in findings)
