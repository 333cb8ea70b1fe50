"""Routes of API keys: callers create and revoke their own; the gateway introspects them.

``introspect`` needs no identity: it is how the gateway learns one. The gateway has no public route to it.
"""

from datetime import timedelta

from fastapi import APIRouter, Response

from limen_accounts import audit
from limen_accounts.accounts import AccountMissing
from limen_accounts.api_keys import MAX_KEYS, ApiKey, NewKey, SessionMissing, TooManyKeys
from limen_accounts.dependencies import ApiKeysDep, StateDep
from limen_accounts.schemas import (
    CreatedKeyResponse,
    IntrospectionForm,
    IntrospectionResponse,
    KeyForm,
    KeyResponse,
)
from limen_kit.fields import RowId
from limen_kit.identity import CurrentCaller
from limen_kit.problems import Problem, responses

router = APIRouter(prefix="/keys", tags=["keys"])


@router.post("", status_code=201, responses=responses(400, 401, 409, 413))
async def create_key(
    form: KeyForm, caller: CurrentCaller, keys: ApiKeysDep, state: StateDep, response: Response
) -> CreatedKeyResponse:
    """Create an API key, which is shown in this response and never again."""
    new = NewKey(
        owner=caller.id,
        name=form.name,
        scopes=tuple(dict.fromkeys(form.scopes)),
        lifetime=_lifetime(form.expires_in_days, state.max_key_lifetime),
        session_id=caller.session_id,
    )
    try:
        created = await keys.create_key(new)
    except TooManyKeys:
        raise Problem(409, "too_many_keys", f"You have {MAX_KEYS} API keys already; revoke one first.") from None
    except SessionMissing:
        raise Problem(
            401, "session_ended", "Your session is over; log in again.", {"www-authenticate": "Bearer"}
        ) from None
    except AccountMissing:
        raise Problem(
            401,
            "account_gone",
            "Your account does not exist any more, or it is locked.",
            {"www-authenticate": "Bearer"},
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
async def list_keys(caller: CurrentCaller, keys: ApiKeysDep) -> list[ApiKey]:
    """List the caller's API keys, expired ones included."""
    return await keys.list_keys(caller.id)


@router.delete("/{key_id}", status_code=204, responses=responses(401, 404))
async def revoke_key(key_id: RowId, caller: CurrentCaller, keys: ApiKeysDep) -> None:
    """Revoke one of the caller's API keys."""
    if not await keys.revoke_key(caller.id, key_id):
        raise Problem(404, "not_found", "API key not found with this id.")
    audit.event("key_revoked", account=caller.id, key=key_id)


@router.post("/introspect", response_model_exclude_unset=True, responses=responses(400, 413))
async def introspect_key(form: IntrospectionForm, keys: ApiKeysDep) -> IntrospectionResponse:
    """Return the owner and scopes of a valid key; of an invalid one, only that it is not active."""
    key = await keys.introspect_key(form.key)
    if key is None:
        return IntrospectionResponse(active=False)
    return IntrospectionResponse(
        active=True, id=key.id, owner=key.owner, scopes=list(key.scopes), expires_at=key.expires_at
    )


def _lifetime(days: int | None, longest: timedelta) -> timedelta:
    """Return how long a new key lasts; raises Problem for more than ``longest``."""
    if days is None:
        return longest
    if days > longest.days:
        raise Problem(422, "key_lifetime", f"An API key lasts {longest.days} days at most; ask for no more.")
    return timedelta(days=days)
