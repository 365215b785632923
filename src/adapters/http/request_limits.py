"""How much a request's head may hold."""

from typing import Final

from starlette.types import Scope

from ...domain.problem import Problem

MAX_HEAD_BYTES: Final = 8192
"""Request line and headers together; nginx and Apache allow as much for a single line."""

TOO_LARGE: Final = Problem(
    431, f"The request line and the headers, cookies among them, must not exceed {MAX_HEAD_BYTES} bytes."
)


def is_too_large(scope: Scope) -> bool:
    """Whether the head is over the limit: a parser may have taken one that came in a single piece."""
    size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    size += sum(len(name) + len(value) + 4 for name, value in scope["headers"])
    return size > MAX_HEAD_BYTES
