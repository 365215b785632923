"""What a request brings to say who it is: a header, a one-time ticket or a cookie, in this order."""

import re
from typing import Final

import msgspec

from .request_parts import Headers, Query, header_values

COOKIE: Final = "__Host-eventbridge"
"""The prefix makes browsers insist on `Secure`, `Path=/` and no `Domain` (RFC 6265bis, 4.1.3.2)."""

TICKET: Final = "ticket"
"""The query parameter of a one-time ticket."""

TICKET_SECONDS: Final = 30
"""A ticket's life (DELIVERY.md 3)."""

_TOKEN: Final = re.compile(rb"[A-Za-z0-9._~+/-]+=*")  # token68 of RFC 9110, section 11.2
_TICKET: Final = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)


class BearerToken(msgspec.Struct, frozen=True):
    """A token from `Authorization: Bearer`; only a program of the page itself can set that header."""

    token: str

    def __repr__(self) -> str:
        return "BearerToken(…)"


class CookieToken(msgspec.Struct, frozen=True):
    """A token from the cookie, which browsers send along whichever page asks: prove the origin."""

    token: str

    def __repr__(self) -> str:
        return "CookieToken(…)"


class Ticket(msgspec.Struct, frozen=True):
    """A one-time ticket from the query."""

    ticket: str

    def __repr__(self) -> str:
        return "Ticket(…)"


class Unusable(msgspec.Struct, frozen=True):
    """Something was brought that cannot be used; nothing weaker is tried instead."""

    reason: str


Credentials = BearerToken | Ticket | CookieToken | Unusable | None


def credentials(headers: Headers, query: Query) -> Credentials:
    """What authenticates the request: the header, else the ticket, else the cookie, else None.

    What was put there for this request beats the cookie, which comes by itself. Other schemes of
    `Authorization` are somebody else's, such as a proxy's password, and passed over.
    """
    return _from_header(headers) or _from_query(query) or _from_cookie(headers)


def _from_header(headers: Headers) -> BearerToken | Unusable | None:
    values = [
        value.partition(b" ")[2].strip(b" ")
        for value in header_values(headers, b"authorization")
        if value.partition(b" ")[0].lower() == b"bearer"
    ]
    if not values:
        return None
    if len(values) > 1:
        return Unusable("there is more than one bearer token")
    if _TOKEN.fullmatch(values[0]) is None:
        return Unusable("the bearer token is malformed")
    return BearerToken(values[0].decode("ascii"))


def _from_query(query: Query) -> Ticket | Unusable | None:
    values = query.get(TICKET)
    if not values:
        return None
    if len(values) > 1:
        return Unusable("there is more than one ticket")
    if _TICKET.fullmatch(values[0]) is None:
        return Unusable("the ticket is malformed")
    return Ticket(values[0])


def _from_cookie(headers: Headers) -> CookieToken | Unusable | None:
    name = COOKIE.encode()
    # HTTP/2 may split cookies over several header lines (RFC 9113, section 8.2.3).
    pairs = b";".join(header_values(headers, b"cookie")).split(b";")
    values = {
        value.strip(b" \t").removeprefix(b'"').removesuffix(b'"')
        for key, _, value in (pair.partition(b"=") for pair in pairs)
        if key.strip(b" \t") == name
    } - {b""}
    if not values:
        return None
    if len(values) > 1:
        return Unusable("there is more than one cookie of the name")
    (value,) = values
    if _TOKEN.fullmatch(value) is None:
        return Unusable("the cookie's token is malformed")
    return CookieToken(value.decode("ascii"))
