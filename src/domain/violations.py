"""Why a record does not become an event: filtered or rejected, in words for the producer's developer."""

import enum
from typing import Final

import msgspec

RECORD: Final = "record"
"""The ``field`` of a violation that concerns the record as a whole."""

QUOTED_CHARACTERS: Final = 80
"""How much of the input a message quotes at most."""


class RejectionReason(enum.StrEnum):
    """Why a record was rejected, as a metric's label: a handful of values."""

    TOMBSTONE = "tombstone"
    TOO_LARGE = "too_large"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    TOO_DEEP = "too_deep"
    NOT_OBJECT = "not_object"
    MISSING_FIELD = "missing_field"
    INVALID_FIELD = "invalid_field"


class Violation(msgspec.Struct, frozen=True, gc=False):
    """One broken rule: the dotted path of the field, the rule, and what stood there.

    ``rule`` reads on after the field's name ("must be a UUID"); it is None where the field is missing.
    ``got`` is the input as JSON, already cut and escaped by ``quoted``; None where nothing is shown.
    """

    field: str
    rule: str | None = None
    got: str | None = None

    @property
    def message(self) -> str:
        """The violation as a sentence, for example: `event_id` must be a UUID, got `"42"`."""
        if self.rule is None:
            return f"missing required field `{self.field}`"
        subject = "the record" if self.field == RECORD else f"`{self.field}`"
        return f"{subject} {self.rule}" + ("" if self.got is None else f", got `{self.got}`")

    def __str__(self) -> str:
        return self.message


class Filtered(msgspec.Struct, frozen=True, gc=False):
    """A well-formed record that users do not see: normal traffic. ``event_type`` is cut at 255 characters."""

    event_type: str
    reason: str = "not_allowed"


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """A malformed or invalid record, with every violation found, in the order of the envelope's fields.

    The ids are those that could be read and are valid, for logs.
    """

    reason: RejectionReason
    violations: tuple[Violation, ...]
    event_type: str | None = None
    event_id: str | None = None
    session_id: str | None = None
    correlation_id: str | None = None

    @property
    def messages(self) -> tuple[str, ...]:
        """The violations as sentences."""
        return tuple(violation.message for violation in self.violations)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that are wrong, in the order of the violations."""
        return tuple(violation.field for violation in self.violations)

    def __str__(self) -> str:
        return "; ".join(self.messages)


def quoted(text: str) -> str:
    """Return input as it may stand in a message: unprintable characters escaped, 80 characters at most.

    What is cut off leaves an ellipsis.
    """
    if len(text) <= QUOTED_CHARACTERS and text.isprintable():
        return text
    escaped = "".join(
        character if character.isprintable() else ascii(character)[1:-1]
        for character in text[: QUOTED_CHARACTERS + 1]
    )
    return escaped if len(escaped) <= QUOTED_CHARACTERS else escaped[: QUOTED_CHARACTERS - 1] + "…"
