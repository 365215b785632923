"""Problem documents: what is wrong with a request, for programs and people (RFC 9457)."""

from typing import Final

import msgspec

from .errors import EventBridgeError

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"

_TITLES: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One problem: its type is `about:blank`, so the title is the status' own phrase."""

    status: int
    detail: str
    """A sentence for the developer of the page; repeats nothing of the request but names."""
    parameter: str | None = None
    """The query parameter that is wrong, where it is one."""

    @property
    def title(self) -> str:
        """The phrase of the status (RFC 9110, section 15)."""
        return _TITLES.get(self.status, "Error")

    def document(self) -> bytes:
        """The body, of the type `PROBLEM_MEDIA_TYPE`."""
        head = {"type": "about:blank", "title": self.title}
        return msgspec.json.encode(head | msgspec.to_builtins(self))


class BadRequest(EventBridgeError, ValueError):
    """A request that cannot be understood; `problem` says what is wrong and what would be right."""

    def __init__(self, detail: str, parameter: str | None = None) -> None:
        self.problem = Problem(400, detail, parameter)
        super().__init__(detail)
