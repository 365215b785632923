"""Who is on the other side: the client's address behind trusted proxies, and what counts as one client."""

from collections.abc import Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

from .errors import EventBridgeError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

UNKNOWN: Final = "unknown"
"""The address of a client that has none (a Unix socket); all of them count as one client."""

IPV6_CLIENT_BITS: Final = 64
"""One subscriber gets at least a /64 (RFC 6177), so single IPv6 addresses limit nobody."""

MAX_HOPS: Final = 32
"""Hops of `X-Forwarded-For` that are looked at, from the right; longer chains are not real."""

_LONGEST: Final = len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%scope-name-0123]:65535")


class InvalidNetwork(EventBridgeError, ValueError):
    """A trusted proxy that is neither an address nor a network."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"must be addresses or networks such as 10.0.0.0/8, without bits behind the prefix; "
            f"{text[:80]!a} is none"
        )


def trusted_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """The networks of the proxies that are believed. Raises `InvalidNetwork`."""
    networks = []
    for text in texts:
        try:
            networks.append(ip_network(text))
        except ValueError:
            raise InvalidNetwork(text) from None
    return tuple(networks)


def client_address(peer: str | None, forwarded: Sequence[bytes], trusted: Sequence[Network]) -> str:
    """The address of the client: the right-most hop that is not one of our proxies.

    `peer` is the other end of the connection, `forwarded` are the values of `X-Forwarded-For`. Whoever
    is not trusted can write what he likes into it, so nothing left of the first such hop is read. Where a
    trusted proxy reports something that is no address, the proxy itself is the client.
    """
    address = _parse(peer or "")
    if address is None:
        return UNKNOWN
    if not _is_trusted(address, trusted):
        return str(address)
    for hop in _hops_from_the_right(forwarded):
        reported = _parse(hop)
        if reported is None:
            break
        address = reported
        if not _is_trusted(address, trusted):
            break
    return str(address)


def client_group(address: str) -> str:
    """What limits count as one client: an IPv4 address, or an IPv6 network of 64 bits."""
    parsed = _parse(address)
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((parsed, IPV6_CLIENT_BITS), strict=False))
    return str(parsed) if parsed is not None else UNKNOWN


def is_loopback_host(host: str) -> bool:
    """Whether a host, as in a setting or a URL, names this machine alone."""
    if host.lower() == "localhost":
        return True
    address = _parse(host)
    return address is not None and address.is_loopback


def _hops_from_the_right(forwarded: Sequence[bytes]) -> list[str]:
    # Of several header lines the last was written last (RFC 9110, section 5.3).
    hops = b",".join(forwarded).decode("latin-1").rsplit(",", MAX_HOPS)[-MAX_HOPS:]
    return [hop.strip(" \t") for hop in reversed(hops)]


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)


def _parse(text: str) -> Address | None:
    """An address, with or without port, brackets and scope; IPv4 inside IPv6 is IPv4."""
    if len(text) > _LONGEST:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
