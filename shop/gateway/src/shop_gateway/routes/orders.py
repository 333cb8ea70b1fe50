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


def declare(app: Gateway, upstream: Upstream, user_or_key_auth: Methods) -> None:
    """Declare the routes; ``user_or_key_auth`` also accepts API keys, which need the scope."""
    user = role("default", "admin")
    orders = app.group(
        "/api/orders", upstream=upstream, allow=user | scope("orders:read"), auth=user_or_key_auth, tags=["orders"]
    )
    user_or_writer = user | scope("orders:write")

    @orders.get("")
    def list_orders(page: Page) -> list[Order]: ...

    @orders.post("", allow=user_or_writer, status_code=201, responses=problems(409))
    def create_order(order: OrderForm, idempotency_key: IdempotencyKey = None) -> Order: ...

    @orders.get("/{order_id}", responses=problems(404))
    def get_order(order_id: RowId) -> Order: ...

    @orders.post("/{order_id}/cancel", allow=user_or_writer, responses=problems(404, 409))
    def cancel_order(order_id: RowId) -> Order: ...
