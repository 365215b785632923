"""Answers that are whole at once: JSON, and the problem documents that errors become (RFC 9457)."""

from collections.abc import Sequence
from typing import Final

import msgspec
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

HeaderLines = Sequence[tuple[bytes, bytes]]
"""Name (lower case) and value of each header of an answer."""

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


async def send_json(send: Send, status: int, body: object, headers: HeaderLines) -> None:
    """Answer with a value as JSON."""
    await send_body(send, status, "application/json", msgspec.json.encode(body), headers)


async def send_body(send: Send, status: int, media_type: str, body: bytes, headers: HeaderLines) -> None:
    """Answer with bytes that no cache keeps."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", media_type.encode()),
                (b"content-length", str(len(body)).encode()),
                (b"cache-control", b"no-store"),
                (b"x-content-type-options", b"nosniff"),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def send_empty(send: Send, headers: HeaderLines) -> None:
    """Answer 204: to a preflight, and to a page that is to stop asking."""
    lines = [(b"cache-control", b"no-store"), *headers]
    await send({"type": "http.response.start", "status": 204, "headers": lines})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
