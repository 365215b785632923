"""Answers that are whole at once, unlike streams."""

from collections.abc import Sequence

import msgspec
from starlette.types import Send

HeaderLines = Sequence[tuple[bytes, bytes]]
"""Name (lower case) and value of each header of an answer."""


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
