"""Text that may be shown: no secrets, no control characters, no more than is read."""

import re
from collections.abc import Iterable, Mapping, Sequence

from ...application.concealing import MASK, forms_of

MAX_TEXT = 2_000
"""Characters of one field."""

MAX_TRACEBACK = 8_000
"""Characters of one traceback; its end, where the error stands, is kept."""

MAX_ITEMS = 32
"""Items of one list or mapping."""

MAX_DEPTH = 3

_SCANNED = 16_384
"""Characters that are searched for secrets; nothing behind them is shown."""

_WORDS = (
    r"pass(?:word|wd|phrase)?|pwd|secret|token|ticket|api[_-]?key|private[_-]?key|jwt[_-]?key|credentials?"
)

_SECRET_NAME = re.compile(rf"(?i)(?:^|[_.\-])(?:{_WORDS}|authorization|cookie)$")

_PATTERNS = (
    # The user part of a URL goes as a whole; greedy, since a password may hold `@` and `/` unescaped.
    (re.compile(r"://[^\s\"'<>]{1,512}@"), f"://{MASK}@"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), rf"\1 {MASK}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{4,2048}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){0,3}"), MASK),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?"), MASK),
    (
        re.compile(
            rf"(?i)((?:{_WORDS})[\"']?\s{{0,4}}(?:=|:(?!//))\s{{0,4}})(?:\"[^\"]*\"|'[^']*'|[^\s\"',;&)}}\]]+)"
        ),
        rf"\1{MASK}",
    ),
)


class Masking:
    """Makes fields fit to be shown. `secrets` are values known to be secret, found wherever they stand."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = forms_of(secrets)
        self._known = re.compile("|".join(map(re.escape, forms))) if forms else None

    def text(self, text: str, limit: int = MAX_TEXT) -> str:
        """One line of at most about `limit` characters."""
        masked = self._masked(text[:_SCANNED])
        if len(masked) > limit or len(text) > _SCANNED:
            masked = f"{masked[:limit]}… ({len(text)} characters)"
        return _printable(masked, "")

    def traceback(self, text: str) -> str:
        """Lines; what is left of a long one is its end."""
        masked = self._masked(text[-_SCANNED:])
        if len(masked) > MAX_TRACEBACK:
            masked = "…" + masked[-MAX_TRACEBACK:]
        return _printable(masked, "\n")

    def field(self, name: str, value: object, depth: int = 0) -> object:
        """A value that JSON has; everything, if the name says that it is secret, is masked."""
        if value is None or isinstance(value, bool | float):
            return value
        if _SECRET_NAME.search(name):
            return MASK
        if isinstance(value, Mapping) and depth < MAX_DEPTH:
            items = list(value.items())[:MAX_ITEMS]
            return {self.text(str(key), 80): self.field(str(key), item, depth + 1) for key, item in items}
        # By exact type: a named tuple of ours has a text of its own.
        if type(value) in (list, tuple, set, frozenset) and depth < MAX_DEPTH:
            return [self.field(name, item, depth + 1) for item in _first(value)]
        return self._scalar(value)

    def _scalar(self, value: object) -> object:
        if isinstance(value, int) and -(2**63) <= value < 2**63:
            return int(value)
        if isinstance(value, bytes):
            return self.text(value[: _SCANNED + 1].decode("utf-8", "backslashreplace"))
        return self.text(str(value))

    def _masked(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text


def _first(values: object) -> Sequence[object]:
    return list(values)[:MAX_ITEMS] if isinstance(values, Iterable) else []


def _printable(text: str, allowed: str) -> str:
    """Escapes what could forge a line, steer a terminal or break the encoding (also lone surrogates)."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in allowed else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
