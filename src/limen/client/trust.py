"""Trusted proxies in front of the gateway, and how ``Forwarded`` and ``X-Forwarded-*`` are read from them. Frozen; no I/O.

A client can write anything into these headers; a trusted proxy writes the truth about its client. So trust is a list of
networks, empty unless declared, and these are the rules:

1. A peer outside the list: its headers are replaced by what the gateway sees of the connection.
2. A peer inside the list: its chain is followed from the right, as long as each hop is in the list. The first hop outside
   the list is the client. Elements left of it come from an unknown sender and are not forwarded.
3. Scheme and host are taken from a trusted peer only, and only if they are well formed.
4. One family of headers is read, the one that the proxies are declared to write. Most proxies write one and pass the
   client's own lines of the other on, so trusting both would be trusting the client.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import islice
from typing import Literal

from limen.client.root_path import forwarded_prefix
from limen.http import forwarded
from limen.http.forwarded import Element
from limen.http.headers import Headers

UNIX = b"unix"
"""The address of a peer on a Unix socket. A peer whose address is not known is ``b""``, which is never trusted."""

HeaderFamily = Literal["x-forwarded", "forwarded"]
_Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Trust:
    """The proxies in front: ``networks`` such as ``"10.0.0.0/8"``, ``"fd00::/8"``, ``"192.0.2.7"`` or ``"unix"``.

    ``speaks`` says which headers they write: ``X-Forwarded-For``, ``-Proto``, ``-Host`` and ``-Prefix``, or ``Forwarded``
    (RFC 7239). They must set or remove all four of the former, or write an element of the latter, on every request. Raises
    ValueError that names the network and what to mend.
    """

    networks: Sequence[str] = ()
    speaks: HeaderFamily = field(default="x-forwarded", kw_only=True)
    _parsed: tuple[_Network, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check and parse."""
        if isinstance(self.networks, str):
            raise ValueError(f"Trust({self.networks!r}): networks is a list, such as Trust([{self.networks!r}])")  # noqa: TRY004 - what a declaration gets wrong is one type of error
        if self.speaks not in ("x-forwarded", "forwarded"):
            raise ValueError(f"Trust(speaks={self.speaks!r}): say 'x-forwarded' or 'forwarded'")
        object.__setattr__(self, "networks", tuple(self.networks))
        object.__setattr__(self, "_parsed", tuple(_network(text) for text in self.networks if text != UNIX.decode()))

    def covers(self, peer: bytes) -> bool:
        """Tell whether ``peer``, an address as text or ``UNIX``, is trusted. Call it once per connection."""
        if not self.networks:
            return False
        if peer == UNIX:
            return UNIX.decode() in self.networks
        return self._trusts(peer)

    def origin(
        self, lines: Iterable[tuple[bytes, bytes]], *, peer: bytes, trusted: bool, scheme: bytes, host: bytes
    ) -> "Origin":
        """Return the origin of a request; ``trusted`` is ``covers(peer)``, ``scheme`` that of the connection.

        ``lines`` are the client's. ``host`` is the value of ``Host``, empty if there was none.
        """
        own = Element(_peer_node(peer), host, scheme)
        if not trusted:
            return _origin((own,), keep_forwarded=False)
        lines, prefix = tuple(lines), b""
        if self.speaks == "forwarded":
            elements = forwarded.forwarded_elements(lines)
        else:
            elements = forwarded.x_forwarded_elements(lines)
            forwarded_host, forwarded_proto = forwarded.x_forwarded_host_proto(lines)
            own = Element(own.node, forwarded_host or host, forwarded_proto or scheme)
            prefix = forwarded_prefix(lines)
        chain = [own]
        # The last element was written by the peer, any other by the node that the next one names. It counts if that is
        # trusted.
        for element in islice(elements, forwarded.MOST_ELEMENTS):
            if element.node is None:
                break
            chain.append(element)
            if not self._trusts(element.node):
                break
        return _origin(chain[::-1], keep_forwarded=self.speaks == "forwarded", prefix=prefix)

    def _trusts(self, node: bytes | None) -> bool:
        address = _address(node or b"")
        return address is not None and any(address in network for network in self._parsed)


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a request, as far as trusted proxies name it.

    ``client`` is an address as text, ``unknown``, or an obfuscated identifier, which begins with ``_`` (RFC 7239 section
    6.3); only an address is fit to count by. ``scheme`` and ``host`` are those that the client used, ``prefix`` is what the
    proxy has taken off the path. ``lines`` go to the service and replace the client's.
    """

    client: bytes
    scheme: bytes
    host: bytes
    lines: Headers
    prefix: bytes = b""


def _origin(chain: Sequence[Element], *, keep_forwarded: bool, prefix: bytes = b"") -> Origin:
    """Return the origin for a chain of trusted elements, the client's first, the gateway's own last."""
    client = chain[0].node or b"unknown"
    # A proxy may leave out what it did not change; then the element of the next proxy has it.
    scheme = next((one.proto for one in chain if one.proto), b"")
    host = next((one.host for one in chain if one.host), b"")
    lines: Headers = [(b"x-forwarded-proto", scheme)]
    # A hidden node still counts as a hop: without it, the next proxy would be taken for the client.
    nodes = [b"unknown" if one.node is None or one.node.startswith(b"_") else one.node for one in chain]
    if nodes[-1] == b"unknown":
        nodes.pop()
    if nodes:
        lines.append((b"x-forwarded-for", b", ".join(nodes)))
    if host:
        lines.append((b"x-forwarded-host", host))
    if keep_forwarded:
        lines.append((b"forwarded", b", ".join(map(forwarded.serialize, chain))))
    return Origin(client, scheme, host, lines, prefix)


def _peer_node(peer: bytes) -> bytes:
    address = _address(peer)
    return b"unknown" if address is None else str(address).encode()


@lru_cache(maxsize=4096)
def _address(text: bytes) -> IPv4Address | IPv6Address | None:
    """Parse an address. ``::ffff:192.0.2.1`` of a dual-stack socket becomes IPv4, and a zone is dropped."""
    try:
        address = ip_address(text.decode("ascii").partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _network(text: str) -> _Network:
    try:
        network = ip_network(text)
    except ValueError as error:
        raise ValueError(f"Trust: {text!r} is no network: {error}; write '10.0.0.0/8', 'fd00::/8' or 'unix'") from None
    if network.prefixlen == 0:
        raise ValueError(f"Trust: {text!r} would believe everybody; name the addresses of the proxies in front")
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise ValueError(f"Trust: {text!r} is an IPv4 address in IPv6 form; write it as IPv4")
    return network
