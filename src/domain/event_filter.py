"""Stage 1: which records become events. A value in, a value out; a refusal is no exception."""

from collections.abc import Sequence
from typing import Final

import msgspec

from .envelope import Event, accept, read_head
from .envelope_rules import examine, present, read_members, text_of
from .violations import RECORD, Filtered, Rejected, RejectionReason, Violation, quoted
from .white_list import DEFAULT_ALLOW, MAX_EVENT_TYPE_LENGTH, PatternError, WhiteList, is_dotted_name

__all__ = [
    "DEFAULT_ALLOW",
    "Event",
    "EventFilter",
    "Filtered",
    "PatternError",
    "Rejected",
    "RejectionReason",
    "Violation",
]

_MAX_REMEMBERED: Final = 1024
_check_syntax: Final = msgspec.json.Decoder(msgspec.Raw).decode


class EventFilter:
    """Decides what becomes of a record, in this order.

    Is it there, small enough, and a JSON object in UTF-8, and is ``event_type`` a string: else it is
    rejected. Does the white-list allow the type: else it is filtered, and nothing further is looked at.
    Are all fields right: else it is rejected, with every violation. What is left is an event.

    JSON is what RFC 8259 says, read strictly: no NaN or Infinity, no BOM, no unpaired surrogates. The
    last of duplicate keys counts. Numbers in the content are carried as they were written, whatever
    their size; a page reads 1e400 as Infinity and loses digits above 2^53.

    Raises PatternError where a pattern cannot be read.
    """

    __slots__ = ("_max_record_bytes", "_remembered", "_white_list")

    def __init__(self, allow: Sequence[str] = DEFAULT_ALLOW, max_record_bytes: int = 1_048_576) -> None:
        self._white_list = WhiteList(allow)
        self._max_record_bytes = max_record_bytes
        # Types that occurred: a refusal, or whether an allowed one is a proper name. Bounded.
        self._remembered: dict[str, Filtered | bool] = {}

    def decide(
        self, value: bytes | None, *, correlation_id: bytes | None = None
    ) -> Event | Filtered | Rejected:
        """Decide on the value of one record.

        ``correlation_id`` is the value of the Kafka header of that name; it counts where the body has
        none, and must then be a UUID as well.
        """
        if value is None:
            return _refusal(RejectionReason.TOMBSTONE, "must not be a tombstone (a record without a value)")
        if len(value) > self._max_record_bytes:
            return _refusal(
                RejectionReason.TOO_LARGE,
                f"must be at most {self._max_record_bytes} bytes",
                str(len(value)),
            )
        try:
            if not value.isascii():
                # What the decoder skips or leaves raw, it does not check for UTF-8.
                str(value, "utf-8")
            head = read_head(value)
            verdict = self._remembered.get(head.event_type)
            if verdict is None:
                verdict = self._verdict(head.event_type)
            if verdict is True:
                event = accept(head, correlation_id)
                if event is not None:
                    return event
                return examine(present(read_members(value)), correlation_id)
            if verdict is not False:
                return verdict
        except (ValueError, RecursionError):
            pass
        return self._look_closely(value, correlation_id)

    def _verdict(self, event_type: str) -> Filtered | bool:
        if len(event_type) > MAX_EVENT_TYPE_LENGTH:
            return Filtered(event_type[:MAX_EVENT_TYPE_LENGTH])
        verdict = is_dotted_name(event_type) if self._white_list.allows(event_type) else Filtered(event_type)
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[event_type] = verdict
        return verdict

    def _look_closely(self, value: bytes, correlation_id: bytes | None) -> Event | Filtered | Rejected:
        try:
            str(value, "utf-8")
            # First as any JSON: a reader of objects would not look past the beginning of an array.
            _check_syntax(value)
            if not value.lstrip().startswith(b"{"):
                return _refusal(
                    RejectionReason.NOT_OBJECT, "must be a JSON object", _beginning(value.strip())
                )
            envelope = present(read_members(value))
            event_type = text_of(envelope["event_type"]) if "event_type" in envelope else None
            verdict = None
            if event_type is not None:
                verdict = self._remembered.get(event_type) or self._verdict(event_type)
            return verdict if isinstance(verdict, Filtered) else examine(envelope, correlation_id)
        except UnicodeDecodeError as error:
            return _refusal(RejectionReason.NOT_UTF8, f"must be UTF-8: {error.reason} (byte {error.start})")
        except RecursionError:
            return _refusal(RejectionReason.TOO_DEEP, "must not be nested this deeply")
        except msgspec.DecodeError as error:
            return _refusal(RejectionReason.NOT_JSON, f"must be JSON: {_fault(error)}", _beginning(value))


def _refusal(reason: RejectionReason, rule: str, got: str | None = None) -> Rejected:
    return Rejected(reason, (Violation(RECORD, rule, got),))


def _fault(error: msgspec.DecodeError) -> str:
    return str(error).removeprefix("JSON is malformed: ").lower()


def _beginning(value: bytes) -> str | None:
    return quoted(value[:400].decode(errors="ignore")) or None
