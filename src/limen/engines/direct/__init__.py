"""The fast engine: gateway routes are answered within the parser's callbacks; everything else goes by way of ASGI."""

from limen.engines.direct.guarded_protocol import GuardedProtocol
from limen.engines.direct.protocol import GatewayProtocol

__all__ = ["GatewayProtocol", "GuardedProtocol"]
