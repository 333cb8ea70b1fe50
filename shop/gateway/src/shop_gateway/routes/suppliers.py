"""Suppliers: anyone may read them, changes need a token; answered by the suppliers service."""

# pyright: reportUnusedFunction=false
# The decorators register the stubs; nobody calls them by name.

from typing import Annotated

from limen import Gateway, Upstream, anyone, role, scope
from limen.auth import Methods
from shop_gateway.fields import row_id
from shop_gateway.headers import IdempotencyKey, IfMatch, IfNoneMatch
from shop_gateway.models import Page, Supplier, SupplierChanges, SupplierForm
from shop_gateway.responses import CHANGED_SINCE, ETAG, REPLAYED, TOTAL_COUNT, conditional, errors, location, success

SupplierId = Annotated[int, row_id("supplier")]

_UNKNOWN = errors({404: "There is no such supplier."})
_CHANGED = errors({412: CHANGED_SINCE})
_FORBIDDEN = errors({403: "It is somebody else's supplier, or you may not change any."})


def declare(app: Gateway, upstream: Upstream, user_or_key_auth: Methods) -> None:
    """Declare the routes; ``user_or_key_auth`` also accepts API keys, which need the scope."""
    changes = role("default", "admin") | scope("suppliers:write")
    suppliers = app.group("/api/suppliers", upstream=upstream, allow=changes, auth=user_or_key_auth, tags=["suppliers"])

    @suppliers.get("", allow=anyone, responses=success(200, "One page of the suppliers.", TOTAL_COUNT))
    def list_suppliers(page: Page) -> list[Supplier]:
        """List the suppliers in the order of their ids. `q` looks into name, surname and address."""
        ...

    @suppliers.post(
        "",
        status_code=201,
        idempotency_key=True,
        responses=success(201, "The supplier, which is yours.", location("/api/suppliers/1"), ETAG, REPLAYED)
        | errors({409: "`idempotency_key_reused`: the key was used for another supplier; take a new one."}),
    )
    def create_supplier(supplier: SupplierForm, idempotency_key: IdempotencyKey = None) -> Supplier:
        """Create a supplier. Blanks around the texts are removed.

        A request that is repeated with its `Idempotency-Key` gets the first response again.
        """
        ...

    @suppliers.get("/{supplier_id}", allow=anyone, responses=conditional("The supplier.") | _UNKNOWN | _CHANGED)
    def get_supplier(supplier_id: SupplierId, if_none_match: IfNoneMatch = None) -> Supplier:
        """Get one supplier."""
        ...

    @suppliers.put(
        "/{supplier_id}",
        responses=success(200, "The supplier, as it is now.", ETAG) | _FORBIDDEN | _UNKNOWN | _CHANGED,
    )
    def update_supplier(supplier_id: SupplierId, changes: SupplierChanges, if_match: IfMatch = None) -> Supplier:
        """Change the fields in the body; the others stay. Only the creator or an admin may."""
        ...

    @suppliers.delete(
        "/{supplier_id}",
        status_code=204,
        responses=success(204, "The supplier is deleted.") | _FORBIDDEN | _UNKNOWN | _CHANGED,
    )
    def delete_supplier(supplier_id: SupplierId, if_match: IfMatch = None) -> None:
        """Delete a supplier. Only the creator or an admin may. Orders that name it stay."""
        ...
