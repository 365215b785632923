"""What is wrong with the settings: one sentence per mistake, all of them at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..domain.errors import EventBridgeError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_QUOTED_CHARACTERS = 80
"""Quoted input is cut here, as in the reasons of rejected events (DESIGN.md 3)."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong."""

    place: str
    """Where the operator wrote it: a variable, a key in a file, an option."""
    rule: str
    """What should be there instead."""

    def __str__(self) -> str:
        return f"{self.place}: {self.rule}"


class WrongSettings(EventBridgeError):
    """The settings cannot be used; `mistakes` holds every reason."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


class Inconsistent(ValueError):
    """Several rules broken at once: items are a field of the group, or "" for that itself, and a rule."""

    def __init__(self, contradictions: Sequence[tuple[str, str]]) -> None:
        self.contradictions = tuple(contradictions)
        super().__init__("; ".join(f"{field} {rule}" for field, rule in self.contradictions))


def quoted(value: object) -> str:
    """A value as it may be shown in a sentence: escaped, cut, in double quotes."""
    text = value if isinstance(value, str) else repr(value)
    cut = text[:_QUOTED_CHARACTERS] + ("…" if len(text) > _QUOTED_CHARACTERS else "")
    return '"' + cut.encode("unicode_escape").decode("ascii").replace('"', '\\"') + '"'


def rules_of(error: "ErrorDetails", *, secret: bool) -> list[tuple[str, str]]:
    """The settings that an error of the model concerns, as (key, rule); a secret's value is not quoted."""
    key = ".".join(str(part) for part in error["loc"][:2])
    context: Mapping[str, Any] = error.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, Inconsistent):
        return [(".".join(filter(None, (key, field))), rule) for field, rule in cause.contradictions]
    rule = str(cause) if cause is not None else _rule(error, context)
    shown = "" if secret or cause is not None else f", got {quoted(error['input'])}"
    return [(key, rule + shown)]


_WORDS = (
    ("int", "must be a whole number"),
    ("float", "must be a number"),
    ("finite", "must be a number"),
    ("bool", "must be true or false"),
    ("string_too_short", "must not be empty"),
    ("string_pattern", "must match {pattern}"),
    ("string", "must be a text"),
    ("model", "is a group of settings, not a value"),
    ("tuple", "must be a list"),
    ("too_short", "must be a list with at least one item"),
    ("greater_than_equal", "must be at least {ge:g}"),
    ("greater_than", "must be more than {gt:g}"),
    ("less_than_equal", "must be at most {le:g}"),
    ("less_than", "must be less than {lt:g}"),
    ("literal", "must be {expected}"),
)
"""How the model's errors read, by the beginning of their type; the first that fits."""


def _rule(error: "ErrorDetails", context: Mapping[str, Any]) -> str:
    for beginning, words in _WORDS:
        if error["type"].startswith(beginning):
            return words.format_map(context).replace("'", "")
    return error["msg"][:1].lower() + error["msg"][1:]
