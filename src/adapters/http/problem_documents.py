"""The problem documents that errors become (RFC 9457)."""

from collections.abc import Sequence
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import Send

from ...application.errors import (
    ForbiddenOrigin,
    KeysUnavailable,
    SinkMisconfigured,
    SinkUnavailable,
    Unauthorized,
)
from ...domain.problem import PROBLEM_MEDIA_TYPE, BadRequest, Problem
from .whole_answers import HeaderLines, send_body

RETRY_AFTER_SECONDS: Final = 5
"""When to ask again for what Redis, or a key, was needed for."""

UNEXPECTED: Final = Problem(500, "The gateway could not answer; its log has the reason.")

_DETAILS: Final = {
    404: "There is nothing here; /openapi.json lists what there is.",
    405: "This path does not take the method.",
}

_PROBLEMS: Final[Sequence[tuple[type[Exception] | tuple[type[Exception], ...], Problem]]] = (
    (KeysUnavailable, Problem(503, "Tokens cannot be verified yet; try again.")),
    (ForbiddenOrigin, Problem(403, "A cookie counts only from an origin on the gateway's list.")),
    (
        (SinkUnavailable, SinkMisconfigured),
        Problem(503, "The streams cannot be read now; try again."),
    ),
)


def problem_of(error: Exception) -> Problem:
    """What a page is told of an error; of what was not foreseen, nothing."""
    if isinstance(error, BadRequest):
        return error.problem
    if isinstance(error, HTTPException):
        detail = _DETAILS.get(error.status_code, "The request was not answered.")
        return Problem(error.status_code, detail)
    if isinstance(error, Unauthorized) and not isinstance(error, KeysUnavailable):
        return Problem(401, f"Bring a valid token: {error.reason}.")
    return next((problem for kinds, problem in _PROBLEMS if isinstance(error, kinds)), UNEXPECTED)


async def send_problem(send: Send, problem: Problem, headers: HeaderLines) -> None:
    """Answer with a problem, and what its status asks for beside it."""
    more: list[tuple[bytes, bytes]] = []
    if problem.status == 401:
        more.append((b"www-authenticate", b'Bearer realm="eventbridge"'))
    elif problem.status == 503:
        more.append((b"retry-after", str(RETRY_AFTER_SECONDS).encode()))
    await send_body(send, problem.status, PROBLEM_MEDIA_TYPE, problem.document(), (*headers, *more))
