"""Networks of clients: where clients take turns, one network counts as one client."""

from ipaddress import IPv4Address, ip_address
from typing import cast


def network_of(address: object) -> bytes:
    """Return the network of a socket's ``address``: 256 addresses of IPv4, or 64 bits of IPv6; b"" if there is none."""
    if not isinstance(address, tuple):
        return b""  # a Unix socket
    return network_of_host(str(cast("tuple[object, ...]", address)[0]).partition("%")[0])


def network_of_host(host: str, ipv4_bytes: int = 3) -> bytes:
    """Return the first ``ipv4_bytes`` of an IPv4 address, or 64 bits of an IPv6 address; b"" if ``host`` is neither.

    64 bits are what one customer has as a whole. An IPv4-mapped IPv6 address counts as IPv4.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return b""
    ipv4 = address if isinstance(address, IPv4Address) else address.ipv4_mapped
    return address.packed[:8] if ipv4 is None else ipv4.packed[:ipv4_bytes]
