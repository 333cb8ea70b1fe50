"""The network of a client, which counts as one client where clients take turns: one customer may own all of it."""

from ipaddress import IPv4Address, ip_address
from typing import cast


def network_of(address: object) -> bytes:
    """Return the network of a socket's ``address``: /24 of IPv4, /64 of IPv6; b"" where there is none."""
    if not isinstance(address, tuple):
        return b""  # a Unix socket
    try:
        host = ip_address(str(cast("tuple[object, ...]", address)[0]).partition("%")[0])
    except ValueError:
        return b""
    mapped = host if isinstance(host, IPv4Address) else host.ipv4_mapped
    return host.packed[:8] if mapped is None else mapped.packed[:3]
