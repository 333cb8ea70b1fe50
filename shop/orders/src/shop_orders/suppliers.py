"""Whether a supplier exists: a call of the suppliers service, through the gateway, with a deadline.

The orders service keeps no copy of suppliers (docs/decisions/0015-orders-ask-for-suppliers.md). It may reach the gateway
alone, and this route is public there.
"""

import json
import logging
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.middleware import Middleware

from limen_kit.fetch import call
from limen_kit.problems import Problem

DEADLINE = 1.5
"""Seconds for one look-up as a whole, the wait for a connection included."""

CONNECTIONS = 8
"""Look-ups at one time; others wait, within their deadline."""

_log = logging.getLogger("shop_orders.suppliers")


class Suppliers:
    """Looks suppliers up at the gateway; a part of the service. ``gateway_url`` None means that none can be looked up."""

    routers: Sequence[APIRouter] = ()
    middleware: Sequence[Middleware] = ()

    def __init__(self, gateway_url: str | None, *, deadline: float = DEADLINE) -> None:
        """Keep the settings; ``deadline`` is in seconds."""
        self._gateway_url = gateway_url
        self._deadline = deadline
        self._executor: ThreadPoolExecutor | None = None

    @asynccontextmanager
    async def running(self, app: FastAPI) -> AsyncGenerator[None]:
        """Keep the threads, each with one connection at a time, and be ``app.state.suppliers``."""
        self._executor = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="suppliers")
        app.state.suppliers = self
        try:
            yield
        finally:
            self._executor.shutdown(wait=False, cancel_futures=True)

    async def ready(self) -> None:
        """Return: only orders that name a supplier need the gateway."""

    async def require(self, supplier_id: int) -> None:
        """Return if the supplier exists. Raises Problem: 422 if it does not, 503 if that cannot be known in time."""
        if self._gateway_url is None:
            _log.error("an order names a supplier, and GATEWAY_URL is not set: set it to the address of the gateway")
            raise _unknown_whether()
        url = f"{self._gateway_url}/api/suppliers/{supplier_id}"
        try:
            answer = await call("GET", url, self._deadline, executor=self._executor)
            if answer.status == 404:
                raise Problem(422, "supplier_unknown", "There is no supplier with this supplier_id.")
            if answer.status != 200:
                raise ValueError(f"the answer is {answer.status}")
            supplier: Any = json.loads(answer.content)
            if not isinstance(supplier, dict) or supplier.get("id") != supplier_id:  # pyright: ignore[reportUnknownMemberType] - JSON
                raise ValueError("the answer is no supplier; is GATEWAY_URL the gateway?")
        except (OSError, ValueError) as error:
            _log.warning("supplier %d cannot be looked up: %s", supplier_id, error)
            raise _unknown_whether() from None


def _unknown_whether() -> Problem:
    return Problem(
        503,
        "suppliers_unavailable",
        "The supplier cannot be looked up now. Nothing is stored; try again with the same Idempotency-Key.",
        {"retry-after": "2"},
    )


def _suppliers(request: Request) -> Suppliers:
    suppliers: Suppliers = request.app.state.suppliers
    return suppliers


SuppliersService = Annotated[Suppliers, Depends(_suppliers)]
"""The look-up, as a parameter of a path operation."""
