"""Suppliers: anyone may read them, changes need a token; answered by the suppliers service."""

# pyright: reportUnusedFunction=false
# The decorators register the stubs; nobody calls them by name.

from limen import Gateway, Upstream, anyone, problems, role, scope
from limen.auth import Methods
from shop_gateway.models import Page, RowId, Supplier, SupplierChanges, SupplierForm


def declare(app: Gateway, upstream: Upstream, user_or_key_auth: Methods) -> None:
    """Declare the routes; ``user_or_key_auth`` also accepts API keys, which need the scope."""
    changes = role("default", "admin") | scope("suppliers:write")
    suppliers = app.group("/api/suppliers", upstream=upstream, allow=changes, auth=user_or_key_auth, tags=["suppliers"])

    @suppliers.get("", allow=anyone)
    def list_suppliers(page: Page) -> list[Supplier]: ...

    @suppliers.post("", status_code=201)
    def create_supplier(supplier: SupplierForm) -> Supplier: ...

    @suppliers.get("/{supplier_id}", allow=anyone, responses=problems(404))
    def get_supplier(supplier_id: RowId) -> Supplier: ...

    @suppliers.put("/{supplier_id}", responses=problems(404))
    def update_supplier(supplier_id: RowId, changes: SupplierChanges) -> Supplier: ...

    @suppliers.delete("/{supplier_id}", status_code=204, responses=problems(404))
    def delete_supplier(supplier_id: RowId) -> None: ...
