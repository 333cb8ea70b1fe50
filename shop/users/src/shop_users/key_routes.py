"""API keys: making and revoking one's own, and telling the gateway what one is good for.

``introspect`` needs no identity, since it is how the gateway learns one; it is never routed to the public.
"""

from datetime import timedelta

from fastapi import APIRouter, Response

from limen_kit.fields import RowId
from limen_kit.identity import CurrentCaller
from limen_kit.problems import Problem, responses
from shop_users import audit
from shop_users.api_keys import MAX_KEYS, ApiKey, NewKey, TooMany
from shop_users.parts import Keys
from shop_users.schemas import (
    CreatedKeyResponse,
    IntrospectionForm,
    IntrospectionResponse,
    KeyForm,
    KeyResponse,
)
from shop_users.sessions import Gone

router = APIRouter(prefix="/api/keys", tags=["keys"])


@router.post("", status_code=201, responses=responses(400, 401, 409, 413))
async def create_key(form: KeyForm, caller: CurrentCaller, keys: Keys, response: Response) -> CreatedKeyResponse:
    """Make an API key, which is shown in this answer and never again."""
    new = NewKey(
        owner=caller.id,
        name=form.name,
        scopes=tuple(dict.fromkeys(form.scopes)),
        lifetime=None if form.expires_in_days is None else timedelta(days=form.expires_in_days),
    )
    try:
        created = await keys.create(new)
    except TooMany:
        raise Problem(409, "too_many_keys", f"You have {MAX_KEYS} API keys already; revoke one first.") from None
    except Gone:
        raise Problem(
            401, "account_gone", "Your account does not exist any more.", {"www-authenticate": "Bearer"}
        ) from None
    key = created.key
    audit.event("key_created", account=caller.id, key=key.id, scopes=" ".join(key.scopes))
    response.headers["cache-control"] = "no-store"
    return CreatedKeyResponse(
        id=key.id,
        name=key.name,
        scopes=list(key.scopes),
        created_at=key.created_at,
        expires_at=key.expires_at,
        key=created.text,
    )


@router.get("", response_model=list[KeyResponse], responses=responses(401))
async def list_keys(caller: CurrentCaller, keys: Keys) -> list[ApiKey]:
    """List the caller's API keys, also those that have expired."""
    return await keys.of(caller.id)


@router.delete("/{key_id}", status_code=204, responses=responses(401, 404))
async def revoke_key(key_id: RowId, caller: CurrentCaller, keys: Keys) -> None:
    """Revoke one of the caller's API keys."""
    if not await keys.revoke(caller.id, key_id):
        raise Problem(404, "not_found", "API key not found with this id.")
    audit.event("key_revoked", account=caller.id, key=key_id)


@router.post("/introspect", response_model_exclude_unset=True, responses=responses(400, 413))
async def introspect_key(form: IntrospectionForm, keys: Keys) -> IntrospectionResponse:
    """Tell what a key is good for, and nothing about one that is not good."""
    key = await keys.introspect(form.key)
    if key is None:
        return IntrospectionResponse(active=False)
    return IntrospectionResponse(
        active=True, id=key.id, owner=key.owner, scopes=list(key.scopes), expires_at=key.expires_at
    )
