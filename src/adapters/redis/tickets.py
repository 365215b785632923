"""One-time tickets in Redis, kept by their hash: whoever reads Redis can use none of them."""

import hashlib
import secrets
from typing import Final

import msgspec

from ...application.gateway_ports import Identity
from ...domain.credentials import TICKET_SECONDS
from . import keys
from .link import Link
from .server import ask

_RANDOM_BYTES: Final = 32

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Identity).decode


class RedisTickets:
    """`Tickets` in Redis. Calls raise `SinkUnavailable` and `SinkMisconfigured`.

    A ticket whose redeeming was cut off counts as used: a page then asks for another.
    """

    def __init__(self, link: Link) -> None:
        self._link = link

    async def issue(self, user_id: str, expires_at: int, token_id: str | None) -> str:
        """As in `Tickets`."""
        ticket = secrets.token_urlsafe(_RANDOM_BYTES)
        key = _key(ticket)
        identity = _encode(Identity(user_id, expires_at, token_id))
        await ask(self._link, key, "SET", key, identity, "EX", TICKET_SECONDS)
        return ticket

    async def redeem(self, ticket: str) -> Identity | None:
        """As in `Tickets`."""
        key = _key(ticket)
        found: bytes | None = await ask(self._link, key, "GETDEL", key)
        try:
            return None if found is None else _decode(found)
        except msgspec.DecodeError:
            return None


def _key(ticket: str) -> str:
    return keys.ticket(hashlib.sha256(ticket.encode(errors="surrogatepass")).hexdigest())
