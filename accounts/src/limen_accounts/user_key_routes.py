"""Routes of users' API keys: an admin sees and revokes those of anybody. Owners have their own routes, ``api_key_routes``."""

from fastapi import APIRouter

from limen_accounts import audit
from limen_accounts.account_problems import found
from limen_accounts.api_keys import ApiKey
from limen_accounts.current_admin import CurrentAdmin
from limen_accounts.dependencies import AccountsDep, ApiKeysDep
from limen_accounts.schemas import KeyResponse, RevokedResponse
from limen_kit.fields import RowId
from limen_kit.problems import Problem, responses

router = APIRouter(prefix="/users/{user_id}/keys", tags=["users"])


@router.get("", response_model=list[KeyResponse], responses=responses(401, 403, 404))
async def list_user_keys(user_id: RowId, caller: CurrentAdmin, accounts: AccountsDep, keys: ApiKeysDep) -> list[ApiKey]:
    """List the API keys of a user, expired ones included."""
    found(await accounts.get_account(user_id))
    return await keys.list_keys(user_id)


@router.delete("", responses=responses(401, 403, 404))
async def revoke_user_keys(
    user_id: RowId, caller: CurrentAdmin, accounts: AccountsDep, keys: ApiKeysDep
) -> RevokedResponse:
    """Revoke all API keys of a user."""
    found(await accounts.get_account(user_id))
    revoked = await keys.revoke_keys(user_id)
    audit.event("keys_revoked", account=user_id, by=caller.id, keys=revoked)
    return RevokedResponse(revoked=revoked)


@router.delete("/{key_id}", status_code=204, responses=responses(401, 403, 404))
async def revoke_user_key(user_id: RowId, key_id: RowId, caller: CurrentAdmin, keys: ApiKeysDep) -> None:
    """Revoke one of the API keys of a user."""
    if not await keys.revoke_key(user_id, key_id):
        raise Problem(404, "not_found", "This user has no API key with this id.")
    audit.event("key_revoked", account=user_id, by=caller.id, key=key_id)
