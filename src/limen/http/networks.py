"""What counts as one client where clients take turns: a network, which is what one of them may have for himself."""

from ipaddress import IPv4Address, ip_address
from typing import cast


def network_of(address: object) -> bytes:
    """Return the network of ``address``, a socket's: 256 addresses of IPv4, or 64 bits of IPv6; b"" where there is none."""
    if not isinstance(address, tuple):
        return b""  # of a Unix socket
    try:
        host = ip_address(str(cast("tuple[object, ...]", address)[0]).partition("%")[0])
    except ValueError:
        return b""
    mapped = host if isinstance(host, IPv4Address) else host.ipv4_mapped
    return host.packed[:8] if mapped is None else mapped.packed[:3]
