"""API keys. Signed-in users create and revoke them; a key cannot create keys."""

# pyright: reportUnusedFunction=false
# The decorators register the stubs; nobody calls them by name.

from limen import Gateway, Upstream, problems, role
from shop_gateway.models import CreatedKey, Key, KeyForm, RowId


def declare(app: Gateway, upstream: Upstream) -> None:
    """Declare the routes. ``/api/keys/introspect`` of the users service is for the gateway alone and has no route."""
    keys = app.group("/api/keys", upstream=upstream, allow=role("default", "admin"), tags=["keys"])

    @keys.post("", status_code=201, responses=problems(409))
    def create_key(form: KeyForm) -> CreatedKey: ...

    @keys.get("")
    def list_keys() -> list[Key]: ...

    @keys.delete("/{key_id}", status_code=204, responses=problems(404))
    def revoke_key(key_id: RowId) -> None: ...
