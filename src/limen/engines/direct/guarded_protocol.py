"""The connections of ``limen serve --engine asgi``: as those of the direct engine, and everything goes by way of ASGI."""

from limen.engines.direct.protocol import GatewayProtocol


class GuardedProtocol(GatewayProtocol):
    """Serves any ASGI application, a gateway included. For ``uvicorn --http limen.engines.direct:GuardedProtocol``."""

    def _is_direct(self) -> bool:
        return False
