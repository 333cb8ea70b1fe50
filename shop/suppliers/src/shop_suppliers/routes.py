"""Suppliers: anybody may read, a caller may create, the creator or an admin may change and delete."""

from fastapi import APIRouter, Response
from tortoise.expressions import Q

from limen_kit.fields import RowId
from limen_kit.identity import CurrentCaller
from limen_kit.paging import Page, paginate, total_count_responses
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


@router.post("", response_model=SupplierResponse, status_code=201, responses=responses(400, 401, 413))
async def create_supplier(form: SupplierForm, caller: CurrentCaller, response: Response) -> Supplier:
    """Create a supplier of the caller's."""
    supplier = await Supplier.create(**form.model_dump(), created_by=caller.id)
    response.headers["Location"] = f"/api/suppliers/{supplier.id}"
    return supplier


@router.get("/{supplier_id}", response_model=SupplierResponse, responses=responses(404))
async def get_supplier(supplier_id: RowId) -> Supplier:
    """Get one supplier."""
    return await _supplier_or_404(supplier_id)


@router.put("/{supplier_id}", response_model=SupplierResponse, responses=responses(400, 401, 403, 404, 413))
async def update_supplier(supplier_id: RowId, changes: SupplierChanges, caller: CurrentCaller) -> Supplier:
    """Change the fields in the body; the others stay."""
    await _changeable_supplier(supplier_id, caller)
    if fields := changes.model_dump(exclude_unset=True):
        # Only the named columns, so that concurrent changes of different fields do not overwrite each other.
        await Supplier.filter(id=supplier_id).update(**fields)
    return await _supplier_or_404(supplier_id)


@router.delete("/{supplier_id}", status_code=204, responses=responses(401, 403, 404))
async def delete_supplier(supplier_id: RowId, caller: CurrentCaller) -> None:
    """Delete a supplier."""
    await (await _changeable_supplier(supplier_id, caller)).delete()


async def _supplier_or_404(number: int) -> Supplier:
    supplier = await Supplier.get_or_none(id=number)
    if supplier is None:
        raise Problem(404, "not_found", "Supplier not found with this id.")
    return supplier


async def _changeable_supplier(number: int, caller: Caller) -> Supplier:
    supplier = await _supplier_or_404(number)
    if supplier.created_by != caller.id and not caller.is_admin:
        raise Problem(403, "forbidden", "You are not allowed to change suppliers of others.")
    return supplier
