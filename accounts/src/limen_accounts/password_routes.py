"""The route of passwords: owners change their own, admins any."""

from collections.abc import Callable

from fastapi import APIRouter, Request, Response

from limen_accounts import audit
from limen_accounts.account_problems import found
from limen_accounts.accounts import Account, username_key
from limen_accounts.current_admin import require_admin
from limen_accounts.dependencies import AccountsDep, ApiKeysDep, ClockDep, HasherDep, ThrottleDep
from limen_accounts.login import address_of, too_many_attempts
from limen_accounts.login_throttle import Attempt, LoginThrottle, address_key
from limen_accounts.passwords import PasswordHasher
from limen_accounts.schemas import PasswordChange
from limen_accounts.session_ended import SESSIONS_ENDED, session_ended_header
from limen_kit.fields import RowId
from limen_kit.identity import CurrentCaller
from limen_kit.problems import Problem, responses

router = APIRouter(tags=["users"])


@router.put(
    "/users/{user_id}/password",
    status_code=204,
    responses=SESSIONS_ENDED | responses(400, 401, 403, 404, 413, 429, 503),
)
async def change_password(
    user_id: RowId,
    change: PasswordChange,
    caller: CurrentCaller,
    accounts: AccountsDep,
    keys: ApiKeysDep,
    hasher: HasherDep,
    throttle: ThrottleDep,
    now: ClockDep,
    request: Request,
    response: Response,
) -> None:
    """Change a password: an admin any, a user their own by giving the current one. All sessions of the user end.

    API keys end too if ``revoke_keys`` says so. Left out, they do where an admin sets another user's password, which is done
    for an account that somebody else may have had.
    """
    if caller.id != user_id:
        await require_admin(caller, accounts)
    ended = None
    while ended is None:
        account = found(await accounts.get_account(user_id))
        if caller.id == user_id:
            attempt = throttle.attempt_in_session(
                caller.session_id or f"of user {caller.id}",
                username_key(account.username),
                address_key(address_of(request)),
                now(),
            )
            await _check_own_password(account, change.current_password or "", hasher, throttle, attempt, now)
        # If the password was changed meanwhile, nothing is stored, and the current password is checked again.
        new_hash = await hasher.hash(change.new_password)
        ended = await accounts.change_password(user_id, account.hashed_password, new_hash)
    # After the sessions: no key is made in one that has ended, so none is left.
    revoke_keys = caller.id != user_id if change.revoke_keys is None else change.revoke_keys
    revoked = await keys.revoke_keys(user_id) if revoke_keys else 0
    audit.event("password_changed", account=user_id, by=caller.id, sessions=len(ended), keys=revoked)
    response.headers.update(session_ended_header(ended))


async def _check_own_password(
    account: Account,
    password: str,
    hasher: PasswordHasher,
    throttle: LoginThrottle,
    attempt: Attempt | float,
    now: Callable[[], float],
) -> None:
    """Raise Problem unless it is the account's password.

    Guessing is rate-limited here too: a stolen session must not become a way to find the password. The session has a counter
    of its own, so that guesses at the login do not keep its owner from changing the password.
    """
    if not isinstance(attempt, Attempt):
        raise too_many_attempts(attempt)
    try:
        matches, _ = await hasher.verify(password, account.hashed_password)
    except BaseException:
        throttle.cancelled(attempt, now())  # no password was checked
        raise
    if matches:
        throttle.succeeded(attempt, now())
        return
    throttle.failed(attempt, now())
    audit.event("password_refused", account=account.id)
    raise Problem(403, "password_wrong", "Password is wrong.")
