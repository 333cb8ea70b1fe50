"""A user's own orders, answered by the orders service."""

# pyright: reportUnusedFunction=false
# The decorators register the stubs; nobody calls them by name.

from typing import Annotated

from fastapi import Header

from limen import Gateway, Upstream, problems, role, scope
from limen.auth import Methods
from shop_gateway.models import Order, OrderForm, Page, RowId

IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$", description="Repeating a key repeats the answer."),
]


def declare(app: Gateway, upstream: Upstream, machines: Methods) -> None:
    """Declare the routes; ``machines`` may call them with API keys that have the scope."""
    person = role("default", "admin")
    orders = app.group(
        "/api/orders", upstream=upstream, allow=person | scope("orders:read"), auth=machines, tags=["orders"]
    )
    changes = person | scope("orders:write")

    @orders.get("")
    def list_orders(page: Page) -> list[Order]: ...

    @orders.post("", allow=changes, status_code=201, responses=problems(409))
    def create_order(order: OrderForm, idempotency_key: IdempotencyKey = None) -> Order: ...

    @orders.get("/{order_id}", responses=problems(404))
    def get_order(order_id: RowId) -> Order: ...

    @orders.post("/{order_id}/cancel", allow=changes, responses=problems(404, 409))
    def cancel_order(order_id: RowId) -> Order: ...
