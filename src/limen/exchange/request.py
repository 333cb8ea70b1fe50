"""One request: what the client sent, where it comes from, and who is calling once that is known.

An engine makes it from a parsed head. Only the pipeline changes it: it adds the route and the caller.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from limen.exchange.principal import Principal
from limen.http.headers import Head

_NO_PARAMS: Final[Mapping[str, str]] = MappingProxyType({})


class Request:
    """What a policy, a rule or a route sees of one request.

    ``path`` is raw, below ``root`` and without the query; ``root`` is the prefix under which clients reach the gateway, as
    raw. ``query`` None is a target without a question mark. ``peer`` is the address of the
    connection's other end. ``client`` is the address of the client: behind a proxy that ``Trust`` names, what the proxy says;
    ``b"unknown"``, or a name that begins with ``_``, where that is no address. ``scheme`` and ``host`` are those that the
    client used. ``origin`` are the header lines that tell the service all this.

    ``params`` are the route's path parameters, percent-decoded; empty before phase 1. ``principal`` is who is calling; None
    before phase 3. ``route`` is the pattern of the route, ``-`` where there is none.

    No dataclass: compiled, making one of those takes 3,900 instructions, and this 300.
    """

    __slots__ = (
        *("client", "head", "host", "method", "origin", "params", "path", "peer"),
        *("principal", "query", "request_id", "root", "route", "scheme"),
    )

    def __init__(
        self,
        method: bytes,
        path: bytes,
        query: bytes | None,
        head: Head,
        *,
        request_id: str,
        peer: bytes,
        client: bytes,
        scheme: bytes,
        host: bytes,
        origin: bytes,
        root: bytes = b"",
    ) -> None:
        """Hold what the head says, and where it comes from."""
        self.method = method
        self.path = path
        self.query = query
        self.head = head
        self.request_id = request_id
        self.peer = peer
        self.client = client
        self.scheme = scheme
        self.host = host
        self.origin = origin
        self.root = root
        self.params: Mapping[str, str] = _NO_PARAMS
        self.principal: Principal | None = None
        self.route = "-"

    def __repr__(self) -> str:
        """Show which request it is; no query, header or body."""
        return f"<Request {self.method.decode('ascii', 'replace')} {self.route} {self.request_id}>"
