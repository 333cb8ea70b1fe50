"""A user's own orders, answered by the orders service."""

# pyright: reportUnusedFunction=false
# The decorators register the stubs; nobody calls them by name.

from typing import Annotated

from limen import Gateway, Upstream, role, scope
from limen.auth import Methods
from shop_gateway.fields import row_id
from shop_gateway.headers import IdempotencyKey, IfMatch, IfNoneMatch
from shop_gateway.models import Order, OrderForm, Page
from shop_gateway.responses import CHANGED_SINCE, ETAG, REPLAYED, TOTAL_COUNT, conditional, errors, location, success

OrderId = Annotated[int, row_id("order")]

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
        responses=success(201, "The order.", location("/api/orders/1"), ETAG, REPLAYED)
        | errors(
            {
                403: "You may not place orders, or `account_deleted`.",
                409: "`idempotency_key_reused`: the key was used for another order; take a new one.",
                422: "It does not fit this document, or `supplier_unknown`.",
                503: "`suppliers_unavailable`: the supplier cannot be looked up now; or the service is unavailable.",
            }
        ),
    )
    def create_order(order: OrderForm, idempotency_key: IdempotencyKey = None) -> Order:
        """Place an order. A supplier that it names must exist; where that cannot be found out, no order is placed.

        A request that is repeated with its `Idempotency-Key` gets the first response again.
        """
        ...

    @orders.get("/{order_id}", responses=conditional("The order.") | errors({404: _UNKNOWN, 412: CHANGED_SINCE}))
    def get_order(order_id: OrderId, if_none_match: IfNoneMatch = None) -> Order:
        """Get one of your orders; an admin gets any."""
        ...

    @orders.post(
        "/{order_id}/cancel",
        allow=user_or_writer,
        responses=success(200, "The order, cancelled.", ETAG)
        | errors({404: _UNKNOWN, 409: "It is cancelled already.", 412: CHANGED_SINCE}),
    )
    def cancel_order(order_id: OrderId, if_match: IfMatch = None) -> Order:
        """Cancel one of your orders, once; an admin cancels any."""
        ...
