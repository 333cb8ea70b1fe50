"""API keys. Signed-in users create and revoke them; a key cannot create keys."""

# pyright: reportUnusedFunction=false
# The decorators register the stubs; nobody calls them by name.

from typing import Annotated

from limen import Gateway, Upstream, role
from shop_gateway.fields import row_id
from shop_gateway.models import CreatedKey, Key, KeyForm
from shop_gateway.responses import NO_STORE, errors, success

KeyId = Annotated[int, row_id("API key")]


def declare(app: Gateway, upstream: Upstream) -> None:
    """Declare the routes. ``/api/keys/introspect`` of the users service is for the gateway alone and has no route."""
    keys = app.group("/api/keys", upstream=upstream, allow=role("default", "admin"), tags=["keys"])

    @keys.post(
        "",
        status_code=201,
        responses=success(201, "The key. It is shown this once.", NO_STORE)
        | errors(
            {
                401: "The access token is missing or not valid, or its account or session is there no more.",
                409: "You have as many keys as a user may have; revoke one first.",
            }
        ),
    )
    def create_key(form: KeyForm) -> CreatedKey:
        """Create an API key for a machine. It acts for you, within the scopes that you give it.

        Keep `key` from the response: only a digest of it is stored. It ends after `expires_in_days`, and after a year at the
        latest, or what the operator has set instead.
        """
        ...

    @keys.get("", responses=success(200, "The keys."))
    def list_keys() -> list[Key]:
        """List your API keys, expired ones included."""
        ...

    @keys.delete(
        "/{key_id}",
        status_code=204,
        responses=success(204, "The key is revoked.") | errors({404: "You have no such key."}),
    )
    def revoke_key(key_id: KeyId) -> None:
        """Revoke one of your API keys.

        The gateway may remember a good key for some seconds, and accepts it for as long.
        """
        ...
