"""What the gateway's endpoints read from a request, and who they take it to come from."""

from collections.abc import Sequence
from typing import Final, Protocol

from starlette.types import Scope

from ...application.gateway_ports import Identity
from ...domain.client_address import Network, client_address, is_loopback_host
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


def is_near(scope: Scope) -> bool:
    """Whether this machine asks, and by a name that no one else can have: a page of another site, whose own
    name was made to lead here, says that name."""
    client = scope.get("client")
    hosts = header_values(scope["headers"], b"host")
    return (
        client is not None
        and is_loopback_host(client[0])
        and len(hosts) == 1
        and is_loopback_host(_without_port(hosts[0].decode("latin-1")))
    )


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return (name if name and port.isdigit() else host).removeprefix("[").removesuffix("]")
