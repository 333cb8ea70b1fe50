"""Suppliers: anybody may read, a caller may create, the creator or an admin may change and delete."""

from fastapi import APIRouter, Response
from tortoise.expressions import F, Q

from limen_kit.fields import RowId
from limen_kit.idempotency import RequestedCreation
from limen_kit.identity import CurrentCaller
from limen_kit.paging import Page, paginate, total_count_responses
from limen_kit.preconditions import RequestPreconditions, etag, precondition_failed, tagged_responses
from limen_kit.principal import Caller
from limen_kit.problems import Problem, responses
from shop_suppliers.models import Supplier
from shop_suppliers.schemas import SupplierChanges, SupplierForm, SupplierResponse

router = APIRouter(prefix="/api/suppliers", tags=["suppliers"])


@router.get("", response_model=list[SupplierResponse], responses=total_count_responses())
async def list_suppliers(page: Page, response: Response) -> list[Supplier]:
    """List everybody's suppliers; ``q`` looks into name, surname and address."""
    rows = Supplier.all()
    if page.q:
        rows = rows.filter(Q(name__icontains=page.q) | Q(surname__icontains=page.q) | Q(address__icontains=page.q))
    return await paginate(rows, page, response)


@router.post(
    "",
    response_model=SupplierResponse,
    status_code=201,
    responses=tagged_responses(201) | responses(400, 401, 409, 413),
)
async def create_supplier(form: SupplierForm, creation: RequestedCreation, response: Response) -> Supplier:
    """Create a supplier of the caller's; repeated requests with the same ``Idempotency-Key`` create it once."""
    supplier = await creation.create(Supplier, form)
    response.headers["ETag"] = etag(supplier.version)
    response.headers["Location"] = f"/api/suppliers/{supplier.id}"
    return supplier


@router.get(
    "/{supplier_id}", response_model=SupplierResponse, responses=tagged_responses(200, 304, 412) | responses(404)
)
async def get_supplier(supplier_id: RowId, preconditions: RequestPreconditions) -> Supplier:
    """Get one supplier."""
    supplier = await _supplier_or_404(supplier_id)
    preconditions.check_read(supplier.version)
    return supplier


@router.put(
    "/{supplier_id}",
    response_model=SupplierResponse,
    responses=tagged_responses(200, 412) | responses(400, 401, 403, 404, 413),
)
async def update_supplier(
    supplier_id: RowId, changes: SupplierChanges, caller: CurrentCaller, preconditions: RequestPreconditions
) -> Supplier:
    """Change the fields in the body; the others stay. With ``If-Match``, only as the caller knows it."""
    await _check_changeable(supplier_id, caller)
    rows = preconditions.applied(Supplier.filter(id=supplier_id))
    # Only the named columns, so that concurrent changes of different fields do not overwrite each other.
    fields = changes.model_dump(exclude_unset=True)
    changed = await (rows.update(**fields, version=F("version") + 1) if fields else rows.count())
    supplier = await _supplier_or_404(supplier_id)
    if not changed:
        raise precondition_failed()
    preconditions.tag(supplier.version)
    return supplier


@router.delete("/{supplier_id}", status_code=204, responses=responses(401, 403, 404, 412))
async def delete_supplier(supplier_id: RowId, caller: CurrentCaller, preconditions: RequestPreconditions) -> None:
    """Delete a supplier; with ``If-Match``, only as the caller knows it."""
    await _check_changeable(supplier_id, caller)
    if not await preconditions.applied(Supplier.filter(id=supplier_id)).delete():
        await _supplier_or_404(supplier_id)
        raise precondition_failed()


async def _supplier_or_404(number: int) -> Supplier:
    supplier = await Supplier.get_or_none(id=number)
    if supplier is None:
        raise Problem(404, "not_found", "Supplier not found with this id.")
    return supplier


async def _check_changeable(number: int, caller: Caller) -> None:
    supplier = await _supplier_or_404(number)
    if supplier.created_by != caller.id and not caller.is_admin:
        raise Problem(403, "forbidden", "You are not allowed to change suppliers of others.")
