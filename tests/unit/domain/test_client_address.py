"""The client's address is the right-most hop that is not ours; what lies left of it is anybody's writing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbridge.domain.client_address import (
    InvalidNetwork,
    client_address,
    client_group,
    is_loopback_host,
    trusted_networks,
)

TRUSTED = trusted_networks(["10.0.0.0/8", "192.0.2.7", "2001:db8:aaaa::/48"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        # Without a trusted proxy in front the header is not read.
        ("203.0.113.5", [], "203.0.113.5"),
        ("203.0.113.5", [b"198.51.100.1"], "203.0.113.5"),
        # Behind one, the right-most hop that is not ours counts.
        ("10.0.0.1", [b"198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [b"198.51.100.1, 10.2.3.4"], "198.51.100.1"),
        ("10.0.0.1", [b"1.1.1.1, 198.51.100.1, 192.0.2.7, 10.2.3.4"], "198.51.100.1"),
        ("192.0.2.7", [b"198.51.100.1"], "198.51.100.1"),
        ("192.0.2.8", [b"198.51.100.1"], "192.0.2.8"),
        # Several lines are one list, in order.
        ("10.0.0.1", [b"1.1.1.1", b"198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [b"198.51.100.1", b"10.0.0.2"], "198.51.100.1"),
        # Nobody but proxies: the first of them.
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [b"10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        # Ports, brackets, scopes, white space.
        ("10.0.0.1", [b"\t198.51.100.1:4711 "], "198.51.100.1"),
        ("10.0.0.1", [b"[2001:db8::5]:4711"], "2001:db8::5"),
        ("10.0.0.1", [b"2001:DB8:0::5"], "2001:db8::5"),
        ("fe80::1%eth0", [b"198.51.100.1"], "fe80::1"),
        ("2001:db8:aaaa::1", [b"198.51.100.1"], "198.51.100.1"),
        # IPv4 inside IPv6 is IPv4, for proxies too.
        ("::ffff:203.0.113.5", [], "203.0.113.5"),
        ("::ffff:10.0.0.1", [b"::ffff:198.51.100.1"], "198.51.100.1"),
        # What is no address ends the search at the proxy that reported it.
        ("10.0.0.1", [b"unknown"], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.1, _hidden"], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.1, nonsense, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [b""], "10.0.0.1"),
        ("10.0.0.1", [b",,"], "10.0.0.1"),
        ("10.0.0.1", [b"\xff\x00" * 5000], "10.0.0.1"),
        # No address at all: a Unix socket.
        (None, [b"198.51.100.1"], "unknown"),
        ("", [], "unknown"),
    ],
)
def test_the_client_is_the_first_hop_that_is_not_ours(
    peer: str | None, forwarded: list[bytes], address: str
) -> None:
    assert client_address(peer, forwarded, TRUSTED) == address


@given(st.lists(st.binary(max_size=80), max_size=4))
def test_nothing_that_a_stranger_writes_changes_his_address(forwarded: list[bytes]) -> None:
    assert client_address("203.0.113.5", forwarded, TRUSTED) == "203.0.113.5"


@given(st.binary(max_size=200))
def test_nothing_left_of_an_untrusted_hop_is_read(written: bytes) -> None:
    assert client_address("10.0.0.1", [written + b", 203.0.113.5, 10.0.0.2"], TRUSTED) == "203.0.113.5"


def test_only_the_last_hops_of_a_long_chain_are_looked_at() -> None:
    chain = b", ".join([b"203.0.113.5", *[b"10.0.0.2"] * 40])

    assert client_address("10.0.0.1", [chain], TRUSTED) == "10.0.0.2"


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("unknown", "unknown"),
    ],
)
def test_one_client_is_an_ipv4_address_or_an_ipv6_network(address: str, group: str) -> None:
    assert client_group(address) == group


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_a_host_of_this_machine_is_loopback(host: str) -> None:
    assert is_loopback_host(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "10.0.0.1", "example.org", "localhost.example.org", "127.0.0.1.example.org"]
)
def test_any_other_host_is_not(host: str) -> None:
    assert not is_loopback_host(host)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "proxy", "10.0.0.0/33", "", "*"])
def test_a_proxy_that_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(InvalidNetwork):
        trusted_networks([text])
