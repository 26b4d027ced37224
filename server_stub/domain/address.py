"""Which addresses a server may be sent to by people who are not its operators. Pure.

The registries of special addresses: https://www.iana.org/assignments/iana-ipv4-special-registry/
and its IPv6 sister, which Python's `ipaddress` knows; below is what it lets through.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

NAT64 = IPv6Network("64:ff9b::/96")
COMPATIBLE = IPv6Network("::/96")
"""Both end in an IPv4 address (RFC 6052; RFC 4291, deprecated)."""

GIVEN_OUT = IPv6Network("2000::/3")
"""All that is unicast on the internet (RFC 4291)."""

PROTOCOLS = IPv4Network("192.0.0.0/24")
"""Set aside for protocols, by RFC 6890; parts of it count as global in some Python versions."""

OF_CLOUDS = frozenset({IPv4Address("168.63.129.16")})
"""Public, yet answered by the machine's own host (Azure's virtual public address)."""


def is_public(text: str) -> bool:
    """Tell whether an address, as a resolver wrote it, is one of the public internet's.

    Private, shared, loopback, link-local (where clouds keep their metadata), unique local,
    multicast, reserved and unspecified ones are not; nor are IPv6 addresses that lead to one.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        return _is_public_six(address)
    return _is_public_four(address)


def _is_public_four(address: IPv4Address) -> bool:
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and address not in PROTOCOLS
        and address not in OF_CLOUDS
    )


def _is_public_six(address: IPv6Address) -> bool:
    within = _four_within(address)
    if within is not None:
        return _is_public_four(within)
    return (
        address in GIVEN_OUT
        and address.is_global
        and address.scope_id is None
        and address.teredo is None
    )


def _four_within(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in NAT64 or address in COMPATIBLE:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None
