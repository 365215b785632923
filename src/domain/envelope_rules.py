"""The rules of the envelope, one by one: the slow way, which names every violation."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec import Raw

from .envelope import MAX_TRACE_ID_LENGTH, Event, is_instant, shown
from .identifiers import canonical_uuid
from .violations import QUOTED_CHARACTERS, Rejected, RejectionReason, Violation, quoted
from .white_list import MAX_EVENT_TYPE_LENGTH, is_dotted_name

CORRELATION_HEADER: Final = "headers.correlation_id"
"""How a violation names Kafka's header ``correlation_id``."""

read_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_read_text: Final = msgspec.json.Decoder(str).decode
_NULL: Final = Raw(b"null")
_NO_MEMBERS: Final[dict[str, Raw]] = {}


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule in words, and the reader that returns the value in its canonical form, or None."""

    words: str
    read: Callable[[str], str | None]


_UUID: Final = _Rule("must be a UUID", canonical_uuid)
_TIME: Final = _Rule(
    "must be an ISO 8601 time with an offset from UTC", lambda text: text if is_instant(text) else None
)
_DOTTED_NAME: Final = _Rule(
    f"must be a dotted name of letters, digits, `_` and `-`, at most {MAX_EVENT_TYPE_LENGTH} characters",
    lambda text: text if is_dotted_name(text) else None,
)
_SHORT_TEXT: Final = _Rule(
    f"must be a string of at most {MAX_TRACE_ID_LENGTH} characters",
    lambda text: text if len(text) <= MAX_TRACE_ID_LENGTH else None,
)


@dataclass(slots=True)
class _Findings:
    """The violations so far, in the order in which the fields were looked at."""

    violations: list[Violation] = field(default_factory=list)

    def missing(self, name: str) -> None:
        self.violations.append(Violation(name))

    def text(self, name: str, raw: Raw | None, rule: _Rule) -> str | None:
        """Return the value in canonical form; None where it is absent, or broken and noted."""
        if raw is None:
            return None
        value = text_of(raw)
        canonical = None if value is None else rule.read(value)
        if canonical is None:
            self.violations.append(Violation(name, rule.words, quoted_json(raw)))
        return canonical

    def required(self, name: str, raw: Raw | None, rule: _Rule) -> str | None:
        if raw is None:
            self.missing(name)
        return self.text(name, raw, rule)

    def members(self, name: str, raw: Raw | None) -> dict[str, Raw]:
        """Return an object's members; none where it is absent, or no object and noted."""
        if raw is None:
            return _NO_MEMBERS
        try:
            return present(read_members(raw))
        except ValueError:
            self.violations.append(Violation(name, "must be an object", quoted_json(raw)))
            return _NO_MEMBERS


def examine(envelope: dict[str, Raw], correlation_header: bytes | None) -> Event | Rejected:
    """Return the event, or the rejection with every violation of the envelope.

    ``envelope`` holds the members that are present (null counts as absent) as valid JSON in UTF-8.
    Where the payload is missing, so are its required fields, and all are named. Raises RecursionError
    where something is nested too deeply.
    """
    found = _Findings()
    event_type = found.required("event_type", envelope.get("event_type"), _DOTTED_NAME)
    event_id = found.required("event_id", envelope.get("event_id"), _UUID)
    aggregate_id = found.required("aggregate_id", envelope.get("aggregate_id"), _UUID)
    correlation_id = _correlation_id(found, envelope.get("correlation_id"), correlation_header)
    metadata = found.members("metadata", envelope.get("metadata"))
    trace_id = found.text("metadata.trace_id", metadata.get("trace_id"), _SHORT_TEXT)
    if "payload" not in envelope:
        found.missing("payload")
    payload = found.members("payload", envelope.get("payload"))
    user_id = found.required("payload.user_id", payload.get("user_id"), _UUID)
    session_id = aggregate_id
    if "session_id" in payload:
        session_id = found.text("payload.session_id", payload["session_id"], _UUID)
    timestamp = _timestamp(found, payload.get("timestamp"), envelope.get("created_at"))
    novel_id = found.text("payload.novel_id", payload.get("novel_id"), _UUID)
    if (
        found.violations
        or event_type is None
        or event_id is None
        or session_id is None
        or correlation_id is None
        or user_id is None
        or timestamp is None
    ):
        return Rejected(
            _reason(found.violations[0]),
            tuple(found.violations),
            event_type=event_type,
            event_id=event_id,
            session_id=session_id,
            correlation_id=correlation_id,
        )
    content, members = shown(envelope["payload"], payload.get("content", _NULL))
    return Event(
        event_id=event_id,
        event_type=event_type,
        session_id=session_id,
        user_id=user_id,
        correlation_id=correlation_id,
        timestamp=timestamp,
        novel_id=novel_id,
        trace_id=trace_id,
        content=content,
        payload=members,
    )


def present(members: dict[str, Raw]) -> dict[str, Raw]:
    """Return the members without those that are null."""
    return {name: raw for name, raw in members.items() if raw != _NULL}


def text_of(raw: Raw) -> str | None:
    """Return the string that a piece of JSON is, or None where it is none."""
    try:
        return _read_text(raw)
    except ValueError:
        return None


def quoted_json(raw: Raw) -> str:
    """Return a piece of JSON as a message may quote it."""
    # A character has at most four bytes, so the beginning is enough.
    return quoted(bytes(memoryview(raw)[: 4 * QUOTED_CHARACTERS + 4]).decode(errors="ignore"))


def _correlation_id(found: _Findings, raw: Raw | None, header: bytes | None) -> str | None:
    if raw is not None:
        return found.text("correlation_id", raw, _UUID)
    if header is None:
        found.missing("correlation_id")
        return None
    text = header[: QUOTED_CHARACTERS + 1].decode("utf-8", "backslashreplace")
    canonical = canonical_uuid(text)
    if canonical is None:
        found.violations.append(Violation(CORRELATION_HEADER, _UUID.words, quoted(f'"{text}"')))
    return canonical


def _timestamp(found: _Findings, raw: Raw | None, created_at: Raw | None) -> str | None:
    if raw is None and created_at is not None:
        return found.text("created_at", created_at, _TIME)
    return found.required("payload.timestamp", raw, _TIME)


def _reason(first: Violation) -> RejectionReason:
    return RejectionReason.MISSING_FIELD if first.rule is None else RejectionReason.INVALID_FIELD
