"""Orders: callers see and cancel their own, admins all of them. An order of somebody else is answered with 404."""

from hashlib import sha256

from fastapi import APIRouter, Response
from tortoise.exceptions import IntegrityError
from tortoise.queryset import QuerySet

from limen_kit.fields import RowId
from limen_kit.identity import CurrentCaller
from limen_kit.paging import Page, paginate, total_count_responses
from limen_kit.principal import Caller
from limen_kit.problems import Problem, responses
from shop_orders.models import Order
from shop_orders.schemas import IdempotencyKey, OrderForm, OrderResponse

router = APIRouter(prefix="/api/orders", tags=["orders"])

REPLAYED_HEADER = "Idempotency-Replayed"


@router.get("", response_model=list[OrderResponse], responses=total_count_responses() | responses(401))
async def list_orders(page: Page, caller: CurrentCaller, response: Response) -> list[Order]:
    """List the caller's orders; ``q`` looks into the item."""
    rows = _visible_orders(caller)
    if page.q:
        rows = rows.filter(item__icontains=page.q)
    return await paginate(rows, page, response)


@router.post("", response_model=OrderResponse, status_code=201, responses=responses(400, 401, 409, 413))
async def create_order(
    form: OrderForm, caller: CurrentCaller, response: Response, idempotency_key: IdempotencyKey = None
) -> Order:
    """Place an order; repeated requests with the same ``Idempotency-Key`` place it once."""
    digest = sha256(form.model_dump_json().encode()).hexdigest()
    try:
        order = await Order.create(
            **form.model_dump(), created_by=caller.id, key=idempotency_key, digest=digest if idempotency_key else None
        )
    except IntegrityError:
        # With a key, this caller has used it before. Without one, another constraint failed, such as an id that a restored
        # database has assigned twice.
        order = await Order.get_or_none(created_by=caller.id, key=idempotency_key) if idempotency_key else None
        if order is None:
            raise
        if order.digest != digest:
            # Not 422: the request fits the document.
            raise Problem(
                409, "idempotency_key_reused", "This Idempotency-Key was used for another order; take a new one."
            ) from None
        # A repetition gets the first response again, whatever happened to the order since.
        order.status = "placed"
        response.headers[REPLAYED_HEADER] = "true"
    response.headers["Location"] = f"/api/orders/{order.id}"
    return order


@router.get("/{order_id}", response_model=OrderResponse, responses=responses(401, 404))
async def get_order(order_id: RowId, caller: CurrentCaller) -> Order:
    """Get one order."""
    return await _order_or_404(order_id, caller)


@router.post("/{order_id}/cancel", response_model=OrderResponse, responses=responses(401, 404, 409))
async def cancel_order(order_id: RowId, caller: CurrentCaller) -> Order:
    """Cancel an order, once."""
    order = await _order_or_404(order_id, caller)
    # The condition is part of the update, so that of two concurrent cancellations only one succeeds.
    if not await Order.filter(id=order_id, status="placed").update(status="cancelled"):
        raise Problem(409, "already_cancelled", "Order is already cancelled.")
    order.status = "cancelled"
    return order


def _visible_orders(caller: Caller) -> QuerySet[Order]:
    return Order.all() if caller.is_admin else Order.filter(created_by=caller.id)


async def _order_or_404(number: int, caller: Caller) -> Order:
    order = await _visible_orders(caller).get_or_none(id=number)
    if order is None:
        raise Problem(404, "not_found", "Order not found with this id.")
    return order
