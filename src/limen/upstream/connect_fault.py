"""Why no connection to a target could be made, as a fault. The client sees one kind; ``Proxy-Status`` says more."""

import errno
from typing import Final

from limen.errors import Fault, Kind, ProxyError
from limen.upstream.target import Target

_UNROUTABLE: Final = frozenset((errno.ENETUNREACH, errno.EHOSTUNREACH))


def connect_fault(target: Target, error: OSError) -> Fault:
    """Return the fault for ``error``, which is no timeout and not TLS's."""
    why: ProxyError | None = None
    if isinstance(error, ConnectionRefusedError):
        why = "connection_refused"
    elif error.errno in _UNROUTABLE:
        why = "destination_ip_unroutable"
    return Fault(Kind.UPSTREAM_REFUSED, cause=f"connecting to {target}: {error}", proxy_error=why)
