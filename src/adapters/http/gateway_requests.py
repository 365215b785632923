"""What the gateway's endpoints read from a request, and who they take it to come from."""

from collections.abc import Sequence
from typing import Final, Protocol

from starlette.types import Scope

from ...application.gateway_ports import Identity
from ...domain.client_address import Network, client_address
from ...domain.request_parts import Headers, Query, header_values

FORWARDED_FOR: Final = b"x-forwarded-for"


class Identities(Protocol):
    """Who a request comes from: `application.authentication.Authentication`, or for development nobody
    who would check."""

    async def identify(self, headers: Headers, query: Query) -> Identity:
        """Who it is. Raises what `Authentication.identify` raises, and `BadRequest`."""


def address_of(scope: Scope, trusted: Sequence[Network]) -> str:
    """The client's address, behind the proxies that are believed."""
    client = scope.get("client")
    peer = client[0] if client else None
    if not trusted:
        return client_address(peer, (), ())
    return client_address(peer, header_values(scope["headers"], FORWARDED_FOR), trusted)
