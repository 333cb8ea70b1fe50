"""A user's own orders, answered by the orders service."""

# pyright: reportUnusedFunction=false
# The decorators register the stubs; nobody calls them by name.

from typing import Annotated

from fastapi import Header

from limen import Gateway, Upstream, role, scope
from limen.auth import Methods
from shop_gateway.fields import row_id
from shop_gateway.models import Order, OrderForm, Page
from shop_gateway.responses import REPLAYED, TOTAL_COUNT, errors, location, success

OrderId = Annotated[int, row_id("order")]

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Names this order, in a text of your own: the same key and body again place no second one.",
        examples=["2b1f6c0e-order-1"],
    ),
]

_UNKNOWN = "There is no such order, or it is somebody else's."


def declare(app: Gateway, upstream: Upstream, user_or_key_auth: Methods) -> None:
    """Declare the routes; ``user_or_key_auth`` also accepts API keys, which need the scope."""
    user = role("default", "admin")
    orders = app.group(
        "/api/orders", upstream=upstream, allow=user | scope("orders:read"), auth=user_or_key_auth, tags=["orders"]
    )
    user_or_writer = user | scope("orders:write")

    @orders.get("", responses=success(200, "One page of the orders.", TOTAL_COUNT))
    def list_orders(page: Page) -> list[Order]:
        """List your orders in the order of their ids; an admin sees all. `q` looks into the item."""
        ...

    @orders.post(
        "",
        allow=user_or_writer,
        status_code=201,
        idempotency_key=True,
        responses=success(201, "The order.", location("/api/orders/1"), REPLAYED)
        | errors({409: "`idempotency_key_reused`: the key was used for another order; take a new one."}),
    )
    def create_order(order: OrderForm, idempotency_key: IdempotencyKey = None) -> Order:
        """Place an order.

        A request that is repeated with its `Idempotency-Key` gets the first response again.
        """
        ...

    @orders.get("/{order_id}", responses=success(200, "The order.") | errors({404: _UNKNOWN}))
    def get_order(order_id: OrderId) -> Order:
        """Get one of your orders; an admin gets any."""
        ...

    @orders.post(
        "/{order_id}/cancel",
        allow=user_or_writer,
        responses=success(200, "The order, cancelled.") | errors({404: _UNKNOWN, 409: "It is cancelled already."}),
    )
    def cancel_order(order_id: OrderId) -> Order:
        """Cancel one of your orders, once; an admin cancels any."""
        ...
