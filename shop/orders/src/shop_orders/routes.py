"""Orders: callers see and cancel their own, admins all of them. An order of somebody else is answered with 404."""

from fastapi import APIRouter, Response
from tortoise.expressions import F
from tortoise.queryset import QuerySet

from limen_kit.fields import RowId
from limen_kit.idempotency import RequestedCreation
from limen_kit.identity import CurrentCaller
from limen_kit.paging import Page, paginate, total_count_responses
from limen_kit.preconditions import RequestPreconditions, etag, precondition_failed, tagged_responses
from limen_kit.principal import Caller
from limen_kit.problems import Problem, responses
from shop_orders.models import DeletedUser, Order
from shop_orders.schemas import OrderForm, OrderResponse
from shop_orders.suppliers import SuppliersService

router = APIRouter(prefix="/api/orders", tags=["orders"])


@router.get("", response_model=list[OrderResponse], responses=total_count_responses() | responses(401))
async def list_orders(page: Page, caller: CurrentCaller, response: Response) -> list[Order]:
    """List the caller's orders; ``q`` looks into the item."""
    rows = _visible_orders(caller)
    if page.q:
        rows = rows.filter(item__icontains=page.q)
    return await paginate(rows, page, response)


@router.post(
    "",
    response_model=OrderResponse,
    status_code=201,
    responses=tagged_responses(201) | responses(400, 401, 403, 409, 413, 503),
)
async def create_order(
    form: OrderForm,
    caller: CurrentCaller,
    creation: RequestedCreation,
    suppliers: SuppliersService,
    response: Response,
) -> Order:
    """Place an order; repeated requests with the same ``Idempotency-Key`` place it once."""
    await _refuse_deleted_user(caller)
    # A repetition first: the supplier may be gone by now.
    order = await creation.repeated(Order, form)
    if order is None:
        if form.supplier_id is not None:
            await suppliers.require(form.supplier_id)
        order = await creation.create(Order, form)
        await _take_back_if_deleted(order, caller)
    response.headers["ETag"] = etag(order.version)
    response.headers["Location"] = f"/api/orders/{order.id}"
    return order


@router.get(
    "/{order_id}", response_model=OrderResponse, responses=tagged_responses(200, 304, 412) | responses(401, 404)
)
async def get_order(order_id: RowId, caller: CurrentCaller, preconditions: RequestPreconditions) -> Order:
    """Get one order."""
    order = await _order_or_404(order_id, caller)
    preconditions.check_read(order.version)
    return order


@router.post(
    "/{order_id}/cancel", response_model=OrderResponse, responses=tagged_responses(200, 412) | responses(401, 404, 409)
)
async def cancel_order(order_id: RowId, caller: CurrentCaller, preconditions: RequestPreconditions) -> Order:
    """Cancel an order, once; with ``If-Match``, only as the caller knows it."""
    await _order_or_404(order_id, caller)
    # The conditions are part of the update, so that of two concurrent cancellations only one succeeds.
    placed = preconditions.applied(Order.filter(id=order_id, status="placed"))
    cancelled = await placed.update(status="cancelled", version=F("version") + 1)
    order = await _order_or_404(order_id, caller)
    if not cancelled:
        if order.status == "placed":
            raise precondition_failed()
        raise Problem(409, "already_cancelled", "Order is already cancelled.")
    preconditions.tag(order.version)
    return order


def _visible_orders(caller: Caller) -> QuerySet[Order]:
    return Order.all() if caller.is_admin else Order.filter(created_by=caller.id)


async def _order_or_404(number: int, caller: Caller) -> Order:
    order = await _visible_orders(caller).get_or_none(id=number)
    if order is None:
        raise Problem(404, "not_found", "Order not found with this id.")
    return order


async def _refuse_deleted_user(caller: Caller) -> None:
    """Raise Problem if the caller's account is deleted: a token may last longer than its account."""
    if await DeletedUser.exists(id=caller.id):
        raise Problem(403, "account_deleted", "The account of this token is deleted.")


async def _take_back_if_deleted(order: Order, caller: Caller) -> None:
    """Refuse again, now that ``order`` is stored: a deletion since the first look would be missed by both sides.

    This way, either this finds the deletion, or the deletion finds the order.
    """
    try:
        await _refuse_deleted_user(caller)
    except Problem:
        # By its id: what a repetition returns is a copy, which Tortoise does not delete.
        await Order.filter(id=order.id).delete()
        raise
