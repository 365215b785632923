"""Who a request comes from, by what it brings; the user comes from the token alone."""

from ..domain.credentials import BearerToken, CookieToken, Ticket, Unusable, credentials
from ..domain.origins import Origins
from ..domain.request_parts import Headers, Query
from .errors import ForbiddenOrigin, Revoked, Unauthorized
from .gateway_ports import Identity, Revocations, Tickets, Tokens


class Authentication:
    """Takes a token from the header, a ticket or the cookie, and asks whether it still counts."""

    def __init__(self, tokens: Tokens, tickets: Tickets, revocations: Revocations, origins: Origins) -> None:
        self._tokens = tokens
        self._tickets = tickets
        self._revocations = revocations
        self._origins = origins

    async def identify(self, headers: Headers, query: Query) -> Identity:
        """Who it is.

        Raises `Unauthorized` (and its kind `KeysUnavailable`), `ForbiddenOrigin`, `Revoked`, and
        `SinkUnavailable`, `SinkMisconfigured` where tickets and revocations cannot be asked now: no stream
        could be read then either.
        """
        identity = await self._proven(headers, query)
        if await self._revocations.is_revoked(identity):
            raise Revoked
        return identity

    async def _proven(self, headers: Headers, query: Query) -> Identity:
        match credentials(headers, query):
            case BearerToken(token):
                return self._tokens.identify(token)
            case CookieToken(token):
                if not self._origins.prove(headers):
                    raise ForbiddenOrigin
                return self._tokens.identify(token)
            case Ticket(ticket):
                identity = await self._tickets.redeem(ticket)
                if identity is None:
                    raise Unauthorized("the ticket was used, has expired, or never was")
                return identity
            case Unusable(reason):
                raise Unauthorized(reason)
            case None:
                raise Unauthorized("there is no token")
