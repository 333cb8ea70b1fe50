"""Routes of locks: admins keep an account from being used, without deleting it."""

from fastapi import APIRouter, Response

from limen_accounts import audit
from limen_accounts.account_problems import found, user_not_found
from limen_accounts.accounts import FIRST_ADMIN_ID
from limen_accounts.current_admin import CurrentAdmin
from limen_accounts.dependencies import AccountsDep
from limen_accounts.session_ended import SESSIONS_ENDED, session_ended_header
from limen_kit.fields import RowId
from limen_kit.problems import Problem, responses

router = APIRouter(tags=["users"])


@router.put("/users/{user_id}/lock", status_code=204, responses=SESSIONS_ENDED | responses(401, 403, 404))
async def lock_user(user_id: RowId, caller: CurrentAdmin, accounts: AccountsDep, response: Response) -> None:
    """Lock a user: nobody logs in, all sessions end, and API keys are not valid until the user is unlocked."""
    if user_id == FIRST_ADMIN_ID:
        raise Problem(403, "protected", "You are not allowed to lock the first user.")
    ended = found(await accounts.lock_account(user_id))
    audit.event("user_locked", account=user_id, by=caller.id, sessions=len(ended))
    response.headers.update(session_ended_header(ended))


@router.delete("/users/{user_id}/lock", status_code=204, responses=responses(401, 403, 404))
async def unlock_user(user_id: RowId, caller: CurrentAdmin, accounts: AccountsDep) -> None:
    """Unlock a user, who logs in again with the same password; API keys that have not expired are valid again."""
    if not await accounts.unlock_account(user_id):
        raise user_not_found()
    audit.event("user_unlocked", account=user_id, by=caller.id)
