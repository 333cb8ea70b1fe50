"""The fast engine: gateway routes answered inside uvicorn's parser callbacks, everything else by uvicorn unchanged."""

from limen.engines.direct.guard import GuardedProtocol
from limen.engines.direct.protocol import GatewayProtocol

__all__ = ["GatewayProtocol", "GuardedProtocol"]
